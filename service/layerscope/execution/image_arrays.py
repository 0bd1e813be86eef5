"""Image arrays: conversions between a model's input and (rows, *places, channels), which attributions use."""

from collections.abc import Callable
from typing import Any

import numpy as np

from layerscope.graph.taps.geometry import MapGeometry

Array = np.ndarray[Any, np.dtype[Any]]

Version = Callable[[int], Array]
"""Makes a version of an image from its number, (*places, channels)."""


def as_input(versions: Array, geometry: MapGeometry, dtype: np.dtype[Any]) -> Array:
    """(rows, *places, channels) in the layout and dtype of a model's input.

    Args:
        versions: images.
        geometry: how the values of the input are maps.
        dtype: of the input; for whole numbers, values are rounded and clipped to its range.
    """
    arranged = geometry.unfolded(versions)
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        arranged = np.rint(arranged).clip(bounds.min, bounds.max)
    return np.ascontiguousarray(arranged, dtype)


def stacked_versions(numbers: range, version: Version) -> Array:
    """Versions of an image in one array, (versions, *places, channels)."""
    first = version(numbers[0])
    versions = np.empty((len(numbers), *first.shape), first.dtype)
    versions[0] = first
    # Written one by one: to have all of them in a list before np.stack takes three times as long.
    for row, number in enumerate(numbers[1:], 1):
        versions[row] = version(number)
    return versions
