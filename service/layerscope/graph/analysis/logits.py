"""What an output is computed from: the logits before a softmax or a sigmoid, where the graph shows them.

Near certainty a softmax is flat, and so is every map that is made of its gradient. Its logits are not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.taps.tap import Tap

Squashing = Literal["softmax", "sigmoid"]

_SQUASHING: dict[str, Squashing] = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_SAME = frozenset({"Identity", "Cast", "StopGradient"})


@dataclass(frozen=True)
class Head:
    """The last step of an output.

    Attributes:
        squashing: the function that made it, if it is one of those that flatten.
        logits: what that function got, where it can be tapped.
    """

    squashing: Squashing | None
    logits: Tap | None


def head_of(output: Tap, nodes: Mapping[str, Any], taps: Iterable[Tap]) -> Head:
    """Find out what an output comes from.

    Args:
        output: the tap that holds it.
        nodes: those of the graph, by name.
        taps: those of the model.
    """
    last = nodes[node_of(_source(output.tensor.name, nodes))]
    squashing = _SQUASHING.get(last.op)
    if squashing is None:
        return Head(None, None)
    before = _source(last.input[0], nodes)
    candidates = (tap for tap in taps if _source(tap.tensor.name, nodes) == before)
    logits = next((tap for tap in candidates if _stands_for(tap, output)), None)
    return Head(squashing, logits)


def _source(tensor: str, nodes: Mapping[str, Any]) -> str:
    """The tensor that this one only hands on."""
    name = tensor.removesuffix(":0")
    while nodes[node_of(name)].op in _SAME:
        name = nodes[node_of(name)].input[0].removesuffix(":0")
    return name


def _stands_for(tap: Tap, output: Tap) -> bool:
    is_own = tap.tensor.batched and not tap.tensor.mixed
    return is_own and tap.shape == output.shape and tap.tensor.dtype.startswith(("float", "bfloat"))
