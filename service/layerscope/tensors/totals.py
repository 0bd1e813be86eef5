"""Totals of one image's values, cheap enough to compute for every request; the totals of many images add up."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerscope.tensors.activations import Activation
from layerscope.tensors.statistics import channels_last


@dataclass(frozen=True)
class Totals:
    """Totals over the values of one layer for one image. They take a tenth of the time of its `Statistics`.

    Attributes:
        finite: Number of finite values.
        total: Sum of the finite values.
        zeros: Number of values that are zero.
        nonfinite: Number of values that are NaN or infinite.
        active: Whether each channel has a value other than zero, boolean of shape (channels,).
    """

    finite: int
    total: float
    zeros: int
    nonfinite: int
    active: NDArray[np.bool_]


def totals_of(activation: Activation) -> list[Totals]:
    """The totals of each image. A layer without channels counts as one channel."""
    return [
        _totals(image.reshape(prod(image.shape[:-1]), image.shape[-1])) for image in channels_last(activation)
    ]


def _totals(values: NDArray[Any]) -> Totals:
    """The totals of values of shape (places, channels)."""
    nonzero = np.count_nonzero(values, axis=0)
    nonfinite = 0
    # A finite sum proves that all values are finite, which saves the second pass that looks for NaN and infinities.
    with np.errstate(invalid="ignore"):
        total = float(values.sum(dtype=np.float64))
    if not np.isfinite(total):
        finite = np.isfinite(values)
        nonfinite = values.size - int(np.count_nonzero(finite))
        with np.errstate(over="ignore"):
            total = float(values.sum(dtype=np.float64, where=finite))
    return Totals(values.size - nonfinite, total, values.size - int(nonzero.sum()), nonfinite, nonzero > 0)
