"""Inverse hyperbolic sine axis: one scale for the values of many layers, linear near zero and logarithmic further out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from layerscope.tensors.activations import Activation
from layerscope.tensors.statistics import Floats, Summary


@dataclass(frozen=True)
class AsinhAxis:
    """An axis on which the position of a value is asinh(value / unit), scaled to 0 to 1.

    Unlike a logarithmic axis it has zero and negative values, and unlike a linear one it shows layers whose values differ
    by orders of magnitude.

    Attributes:
        low: The value at the lower end, at most 0.
        high: The value at the upper end, above `low` and at least 0.
        unit: The magnitude at which the axis changes from linear to logarithmic, above 0.
    """

    low: float
    high: float
    unit: float

    @classmethod
    def of(cls, layers: Sequence[Summary]) -> Self:
        """The axis that contains zero and all values of the layers. Its unit is the median of their standard deviations."""
        known = [layer for layer in layers if layer.count > 0]
        low = min([0.0, *(layer.min.item() for layer in known)])
        high = max([0.0, *(layer.max.item() for layer in known)])
        spreads = [spread for layer in known if 0 < (spread := layer.std.item()) < np.inf]
        unit = float(np.median(spreads)) if spreads else 1.0
        return cls(low, high if high > low else low + 1.0, unit)

    def positions(self, values: NDArray[Any]) -> Floats:
        """The positions of values, from 0 at the lower end to 1 at the upper end, float64 of the shape of `values`."""
        start, end = np.arcsinh(self.low / self.unit), np.arcsinh(self.high / self.unit)
        positions: Floats = (np.arcsinh(np.asarray(values, np.float64) / self.unit) - start) / (end - start)
        return positions

    def density(self, activation: Activation, bins: int) -> NDArray[np.int64]:
        """Count the finite values other than zero in each of `bins` equal parts of the axis, shape (bins,).

        Zeros are left out: after a ReLU they are so many that nothing else would be visible. The values of one image at a
        time are held in float64.
        """
        counts = np.zeros(bins, np.int64)
        for image in activation.values:
            counted = image[np.isfinite(image) & (image != 0)]
            bin_numbers = np.clip(self.positions(counted) * bins, 0, bins - 1).astype(np.intp)
            counts += np.bincount(bin_numbers, minlength=bins)
        return counts
