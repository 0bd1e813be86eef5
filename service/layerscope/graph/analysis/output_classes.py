"""Classes of an output: which of its values belong to which class, and the names of the classes.

One rule holds for predictions, targets and every other place: the classes of an output are its values, one each. The only
exception is a single sigmoid of a model that declares two names: it is the probability of the second, and its complement that
of the first. With one name, or none, it is the probability of one class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerscope.graph.analysis.logits import FlatActivation
from layerscope.graph.taps.tap import Tap

_PAIR = 2


@dataclass(frozen=True)
class OutputClasses:
    """The classes of one output.

    Attributes:
        names: The declared names, one a class; None if none were declared, or not as many as there are classes.
        is_pair: Whether a single probability stands for two classes: its value is that of class 1.
        is_probability: Whether the graph shows a sigmoid or a softmax as the last operation.
    """

    names: tuple[str, ...] | None
    is_pair: bool
    is_probability: bool

    @classmethod
    def of(
        cls, output: Tap, activation: FlatActivation | None, declared: Sequence[str] | None
    ) -> "OutputClasses":
        """The classes of an output.

        Args:
            output: The tap of the output.
            activation: Its last operation, if it is a softmax or a sigmoid.
            declared: The names that the model declares for the classes of its outputs.
        """
        count = output.shape[output.channel_axis or 0] if output.shape else 1
        names = tuple(declared or ())
        is_pair = count == 1 and activation == "sigmoid" and len(names) == _PAIR
        fits = is_pair or len(names) == count
        return cls(names if names and fits else None, is_pair, activation is not None)

    def name(self, index: int) -> str | None:
        """The name of a class by number; None without names."""
        return None if self.names is None else self.names[index]

    def values(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The value of every class, (..., classes) in float64, from those of the output with its classes on the last axis."""
        own = np.asarray(values, np.float64)
        return np.concatenate([1 - own, own], axis=-1) if self.is_pair else own
