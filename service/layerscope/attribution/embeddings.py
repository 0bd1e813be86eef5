"""Embeddings: where the tokens of a text become amounts. The id of a token is a name, of which there is no more and no less.

Methods that need amounts, such as gradients, vary the vectors that the tokens are embedded as. From a gradient of each feature,
there is one number a token by its Euclidean norm, or by the sum where the features share a total (Atanasova et al. 2020, A
Diagnostic Study of Explainability Techniques for Text Classification, arXiv:2009.13295).
"""

from collections.abc import Sequence

from layerscope.errors import NotDifferentiable
from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.tap import AxisName, Tap

TOKENS: tuple[AxisName, ...] = ("tokens",)
"""The places of a text."""


def takes_tokens(tap: Tap) -> bool:
    """Whether the values of an input are the ids of tokens."""
    return tap.axes == TOKENS and tap.dtype.kind in "iu"


def embeddings_of(model: ModelDescription, tap: Tap) -> Sequence[Tap]:
    """The layers that look up the vectors of an input's tokens, in graph order."""
    return [
        each
        for each in model.taps.outputs()
        if "Embedding" in each.layer.type
        and not each.layer.is_group
        and tap.address in each.layer.inbound
        and each.axes == ("tokens", "channels")
        and each.dtype.kind == "f"
    ]


def embedding_of(model: ModelDescription, tap: Tap) -> Tap:
    """The layer that looks up the vectors of an input's tokens.

    Raises:
        NotDifferentiable: there is none, or there are several, of which each would tell a part.
    """
    found = embeddings_of(model, tap)
    if len(found) == 1:
        return found[0]
    named = ", ".join(each.address for each in found)
    message = (
        f"Input {tap.address!r} takes the ids of tokens, and several layers embed them ({named}), of which each would tell"
        " a part: explain one of them by its name (method hirescam, layer=), or cover tokens (method occlusion)."
        if found
        else f"Input {tap.address!r} takes the ids of tokens, and no layer is known to embed them, so that there is nothing to"
        " differentiate by: cover tokens (method occlusion)."
    )
    raise NotDifferentiable(message, input=tap.address, layers=[each.address for each in found])
