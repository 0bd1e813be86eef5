"""Quantisation of tensors: the numbers that whole numbers stand for, `(q - zero point) * scale`."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Quantisation:
    """How a tensor is quantised.

    Attributes:
        scales: one, or one for each place along `axis`; empty for a tensor that is not quantised.
        zero_points: likewise.
        axis: the axis that has scales of its own.
    """

    scales: Array
    zero_points: Array
    axis: int = 0

    @classmethod
    def of(cls, details: dict[str, Any]) -> Self:
        """From the `quantization_parameters` of the interpreter."""
        return cls(
            np.asarray(details["scales"], np.float64),
            np.asarray(details["zero_points"], np.float64),
            int(details["quantized_dimension"]),
        )

    def dequantised(self, values: Array) -> Array:
        """The numbers that values stand for, float32."""
        if not len(self.scales):
            return values.astype(np.float32)
        scales, zeros = self._along(values.ndim)
        return np.asarray(((values.astype(np.float64) - zeros) * scales).astype(np.float32))

    def quantised(self, values: Array, dtype: np.dtype[Any]) -> Array:
        """The values of a dtype that stand for numbers best; those beyond its range become the ends of it."""
        if not len(self.scales):
            return values.astype(dtype)
        scales, zeros = self._along(values.ndim)
        bounds = np.iinfo(dtype)
        steps = np.rint(values / scales) + zeros
        return np.asarray(np.clip(steps, bounds.min, bounds.max).astype(dtype))

    def _along(self, rank: int) -> tuple[Array, Array]:
        if len(self.scales) == 1:
            return self.scales, self.zero_points
        shape = [1] * rank
        shape[self.axis] = len(self.scales)
        return self.scales.reshape(shape), self.zero_points.reshape(shape)
