"""Tiles of an activation: arrays of rows and columns, each drawn as one rectangle of the picture."""

import math

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import NoPicture

LONGEST_ROW = 64
"""Most values of a vector that is drawn as one row."""


def tiles(values: NDArray[np.generic], channel_axis: int | None) -> NDArray[np.floating]:
    """Arrange one image's activation as tiles.

    | activation | tiles |
    |---|---|
    | one value | one, 1 x 1 |
    | a vector of n | one: a row; above 64 values, wrapped in reading order |
    | a matrix, no channels | one |
    | channels and 1, 2 or 3 further axes | a row, a map or a stack of depth slices for each channel |

    A long vector is wrapped into rows of equal length, as near to a square as its divisors allow, so that every pixel
    is a value: 4096 becomes 64 x 64, 1000 becomes 25 x 40, and 509, a prime, stays one row. All depth slices of the
    first channel come before those of the second. The channels of a vector are its values, so `channel_axis` is
    ignored for vectors.

    Args:
        values: The activation of one image, without the batch axis. Not modified.
        channel_axis: The axis of the channels, or None without one.

    Returns:
        float16, float32 or float64 of shape (tiles, height, width); a view of `values` where possible.
        Booleans and integers become float32.

    Raises:
        NoPicture: The type is not a number with an order, or the rank is not in the table.
    """
    numbers = _numbers(values)
    if numbers.size == 0:
        raise NoPicture(f"Shape {numbers.shape} holds no values to draw.", shape=list(numbers.shape))
    if numbers.ndim <= 1:
        return _strip(numbers.reshape(-1))
    if channel_axis is None:
        return _matrix(numbers)
    return _channels(numbers, channel_axis)


def _numbers(values: NDArray[np.generic]) -> NDArray[np.floating]:
    if values.dtype.kind == "f":
        return values  # type: ignore[return-value]
    if values.dtype.kind in "biu":
        return values.astype(np.float32)
    raise NoPicture(f"Values of type {values.dtype.name} cannot be drawn.", dtype=values.dtype.name)


def _strip(vector: NDArray[np.floating]) -> NDArray[np.floating]:
    rows = 1 if vector.size <= LONGEST_ROW else _rows(vector.size)
    return vector.reshape(1, rows, -1)


def _rows(length: int) -> int:
    """The largest divisor of a length that is not above its square root."""
    return next(rows for rows in range(math.isqrt(length), 0, -1) if length % rows == 0)


def _matrix(values: NDArray[np.floating]) -> NDArray[np.floating]:
    if values.ndim != 2:
        raise NoPicture(
            f"Shape {values.shape} has no channels and is not a matrix, so it cannot be drawn.",
            shape=list(values.shape),
        )
    return values[np.newaxis]


def _channels(values: NDArray[np.floating], channel_axis: int) -> NDArray[np.floating]:
    if values.ndim > 4 or not -values.ndim <= channel_axis < values.ndim:
        raise NoPicture(
            f"Shape {values.shape} with channels on axis {channel_axis} cannot be drawn.",
            shape=list(values.shape),
            channel_axis=channel_axis,
        )
    by_channel = np.moveaxis(values, channel_axis, 0)
    if by_channel.ndim == 2:
        return by_channel[:, np.newaxis]
    return by_channel.reshape(-1, *by_channel.shape[-2:])
