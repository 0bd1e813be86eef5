"""Image arrays: conversions between a model's input and (rows, height, width, channels), which attributions use."""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

Version = Callable[[int], Array]
"""Makes a version of an image from its number, (height, width, channels)."""


def as_input(versions: Array, axis: int | None, dtype: np.dtype[Any]) -> Array:
    """(rows, height, width, channels) in the layout and dtype of a model's input.

    Args:
        versions: images.
        axis: the axis of channels in one row of the input; None if it has only rows and columns.
        dtype: of the input; for whole numbers, values are rounded and clipped to its range.
    """
    arranged = versions[..., 0] if axis is None else np.moveaxis(versions, -1, 1 + axis)
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        arranged = np.rint(arranged).clip(bounds.min, bounds.max)
    return np.ascontiguousarray(arranged, dtype)


def stacked_versions(numbers: range, version: Version) -> Array:
    """Versions of an image in one array, (versions, height, width, channels)."""
    first = version(numbers[0])
    versions = np.empty((len(numbers), *first.shape), first.dtype)
    versions[0] = first
    # Written one by one: to have all of them in a list before np.stack takes three times as long.
    for row, number in enumerate(numbers[1:], 1):
        versions[row] = version(number)
    return versions
