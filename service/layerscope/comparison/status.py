"""Statuses of layers, and the verdict on a comparison."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Status = Literal["same", "rounding", "within", "drifted"]
"""What became of a layer: equal bits; a change that rounding explains; one within the tolerance; a larger one."""

ROUNDING = 1e-6
"""The relative L2 that rounding in float32 explains at least: about eight times the distance of two such numbers.

Where a network is computed in another order, which TensorFlow does as soon as other layers are fetched, values of most
layers change by 1e-7 to 6e-6 of their norm. The noise floor is measured, but may be exactly 0 for the layers of a small network.
"""

_FLOORS = 10

_ORDER: tuple[Status, ...] = ("same", "rounding", "within", "drifted")


@dataclass(frozen=True)
class Tolerance:
    """How much may change.

    Attributes:
        relative_l2: of a layer.
        outputs: of an output of the model, in relative L2.
        agreement: the least share of images that must keep their most likely class.
    """

    relative_l2: float = 0.01
    outputs: float | None = None
    agreement: float = 0.0

    def of(self, *, is_output: bool) -> float:
        """The relative L2 that a layer may have."""
        return self.outputs if is_output and self.outputs is not None else self.relative_l2


def is_rounding(relative_l2: float, noise_floor: float) -> bool:
    """Whether rounding explains a change: up to ten times what another size of the batch changes."""
    return relative_l2 <= max(ROUNDING, _FLOORS * noise_floor)


def status_of(relative_l2: float, noise_floor: float, tolerance: float, *, is_same: bool) -> Status:
    """The status of a layer.

    Args:
        relative_l2: its change; infinite if it cannot be compared.
        noise_floor: what another size of the batch changes.
        tolerance: what is allowed.
        is_same: whether all bits are equal.
    """
    if is_same:
        return "same"
    if not math.isfinite(relative_l2):
        return "drifted"
    if is_rounding(relative_l2, noise_floor):
        return "rounding"
    return "within" if relative_l2 <= tolerance else "drifted"


def verdict_of(statuses: Iterable[Status]) -> Status:
    """The worst of the statuses."""
    return max(statuses, key=_ORDER.index, default="same")
