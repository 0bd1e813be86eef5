"""What is differentiated by what."""

from dataclasses import dataclass

from layerscope.graph.taps.tap import Tap


@dataclass(frozen=True)
class Derivative:
    """The derivative of a value by another.

    Attributes:
        target: the value to differentiate.
        source: what to differentiate by.
        guided: whether rectifiers let back only what is positive, see `layerscope.graph.rewrites.guided_relu`.
        is_fed: whether the source's values are given, so that what comes before it is not computed.
    """

    target: Tap
    source: Tap
    guided: bool = False
    is_fed: bool = False
