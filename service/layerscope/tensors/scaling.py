"""Scaling by powers of two, so that sums and squares of values of any size neither overflow nor vanish."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def scaled(
    values: NDArray[Any], axes: tuple[int, ...], mask: Any = True
) -> tuple[NDArray[Any], NDArray[np.intc]]:
    """Divide values by a power of two, so that their sums and squares, in float64, are right to rounding.

    Only float64 needs it: squares and sums of all other types are within the range of float64.

    Args:
        values: Of any real type. Not modified.
        axes: The axes over which sums are taken. All sets of values have powers of their own.
        mask: True where a value counts; it must be finite there.

    Returns:
        The values divided by 2 ** exponent, or the values themselves where that is not needed; and the exponents, in the
        shape of the values with `axes` of length 1.
    """
    if values.dtype != np.float64:
        return values, np.zeros([1] * values.ndim, np.intc)
    largest = np.abs(values).max(axis=axes, keepdims=True, where=mask, initial=0)
    exponent = np.where(np.isfinite(largest), np.frexp(largest)[1], 0).astype(np.intc)
    return np.ldexp(values, -exponent), exponent
