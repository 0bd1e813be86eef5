"""Edits as data: what the readers of a value get in its place."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from layerscope.errors import InputMismatch
from layerscope.graph.taps.tap import Shape

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Edit:
    """An affine change with bounds of the values at one tap: all readers get `clip(x * scale + shift, low, high)`.

    `x` is what the layer computes under all edits before it. A product with a scale of 0 is 0 for every `x`, infinities and
    NaN too, so that any value can be replaced. With the defaults, the values keep their bits (but -0.0 and
    subnormal numbers become 0.0).

    Setting values, removing channels, steering and patching values of another image are all of this form. So one compiled
    plan serves every edit of the same taps, and each image of a batch may have an edit of its own.

    Attributes:
        scale: a number, or an array that broadcasts against (batch, *tap shape).
        shift: likewise.
        low: the smallest value that readers get, likewise.
        high: the largest, likewise.
    """

    scale: Array | float = 1.0
    shift: Array | float = 0.0
    low: Array | float = -np.inf
    high: Array | float = np.inf

    def arrays(self, name: str, shape: Shape, dtype: str, batch: int) -> Iterator[Array]:
        """The arrays of scale, shift, low and high, each (batch, *sizes) with a size of the tap or 1 along each axis.

        Args:
            name: of the tap, for errors.
            shape: of the tap, without the batch axis.
            dtype: that the tap is computed in.
            batch: the number of images.

        Raises:
            InputMismatch: an array does not fit the tap.
        """
        rank = 1 + len(shape)
        for each in fields(self):
            array = np.asarray(getattr(self, each.name), np.dtype(dtype))
            array = array.reshape((1,) * (rank - array.ndim) + array.shape)
            sizes = zip((batch, *shape), array.shape, strict=False)
            if array.ndim > rank or any(size not in {1, most} and most is not None for most, size in sizes):
                raise InputMismatch(
                    f"The {each.name} of an edit of {name} has shape {list(array.shape)}, which does not fit"
                    f" {[batch, *shape]}.",
                    layer=name,
                )
            # One row for each image, so that images can run apart; along the other axes, the graph repeats the values.
            yield np.broadcast_to(array, (batch, *array.shape[1:]))
