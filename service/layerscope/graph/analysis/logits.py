"""Logits of an output: the values before its softmax or sigmoid, where the graph shows them.

Attributions differentiate logits: near certainty a softmax is flat, and so is every map that is made of its gradient.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.taps.tap import Tap

FlatActivation = Literal["softmax", "sigmoid"]

_ACTIVATIONS: dict[str, FlatActivation] = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_SAME = frozenset({"Identity", "Cast", "StopGradient"})


@dataclass(frozen=True)
class Logits:
    """The logits of an output.

    Attributes:
        activation: the function that turns the logits into the output, if it is a softmax or a sigmoid.
        tap: the logits, where they can be tapped.
    """

    activation: FlatActivation | None
    tap: Tap | None


def find_logits(output: Tap, nodes: Mapping[str, Any], taps: Iterable[Tap]) -> Logits:
    """Find the logits of an output.

    Args:
        output: the tap that holds it.
        nodes: those of the graph, by name.
        taps: those of the model.
    """
    last = nodes[node_of(_source(output.tensor.name, nodes))]
    activation = _ACTIVATIONS.get(last.op)
    if activation is None:
        return Logits(None, None)
    before = _source(last.input[0], nodes)
    candidates = (tap for tap in taps if _source(tap.tensor.name, nodes) == before)
    logits = next((tap for tap in candidates if _stands_for(tap, output)), None)
    return Logits(activation, logits)


def _source(tensor: str, nodes: Mapping[str, Any]) -> str:
    """The tensor whose values a chain of operations hands on unchanged."""
    name = tensor.removesuffix(":0")
    while nodes[node_of(name)].op in _SAME:
        name = nodes[node_of(name)].input[0].removesuffix(":0")
    return name


def _stands_for(tap: Tap, output: Tap) -> bool:
    is_own = tap.tensor.batched and not tap.tensor.mixed
    return is_own and tap.shape == output.shape and tap.tensor.dtype.startswith(("float", "bfloat"))
