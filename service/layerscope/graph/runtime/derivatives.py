"""Derivatives: which tap is differentiated by which."""

from dataclasses import dataclass

from layerscope.graph.taps.tap import Tap


@dataclass(frozen=True)
class Derivative:
    """The derivative of a value by another.

    Attributes:
        target: the value to differentiate.
        source: what to differentiate by.
        guided: whether gradients pass each ReLU only where they are positive, see `layerscope.graph.rewrites.guided_relu`.
        is_fed: whether the values of the source are given, so that nothing before it is computed.
    """

    target: Tap
    source: Tap
    guided: bool = False
    is_fed: bool = False
