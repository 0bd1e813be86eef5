"""The context of a rewrite."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from layerscope.graph.prepared.weights import Weights
from layerscope.graph.taps.tap import Shape


@dataclass(frozen=True)
class RewriteContext:
    """What a rewrite knows of a plan, besides its graph.

    Attributes:
        fetched: the names of the tensors that must stay.
        shapes: of tensors by name, without the batch axis, as far as they are known.
        weights: of the graph's variables.
    """

    fetched: Collection[str]
    shapes: Mapping[str, Shape]
    weights: Weights
