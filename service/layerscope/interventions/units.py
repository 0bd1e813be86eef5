"""Units: the parts of a layer's values that a sweep changes, one at a time: its channels, its places, or all of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from layerscope.errors import OptionInvalid
from layerscope.graph.edits import Edit
from layerscope.graph.taps.geometry import rows_and_columns
from layerscope.graph.taps.tap import Tap
from layerscope.tensors.options import Region

Array = np.ndarray[Any, np.dtype[Any]]

By = Literal["channel", "layer", "place"]
"""What a sweep changes at a time: a channel of a layer, all of a layer, or a box of places in all channels of a layer."""


@dataclass(frozen=True)
class Units:
    """The units of one tap.

    Attributes:
        tap: the tap.
        by: what a unit is.
        size: the shape of the tap's values for one image.
        grid: of `by="place"`, the most boxes along each side of the map.

    Raises:
        OptionInvalid: the tap has no such units.
    """

    tap: Tap
    by: By
    size: tuple[int, ...]
    grid: int

    def __post_init__(self) -> None:
        if self.by == "channel" and self.tap.channel_axis is None:
            raise OptionInvalid(f"{self.tap.address} has no channels: sweep by=layer.", option="by")
        if self.by == "place" and not self._plane:
            named = ", ".join(self.tap.axes)
            message = (
                f"{self.tap.address} has no boxes of places: its axes are {named}, not rows and columns."
            )
            raise OptionInvalid(message, option="by")

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """How the units are arranged: (channels,), (rows, columns) of boxes, or (1,)."""
        if self.by == "channel":
            return (self.size[self.tap.channel_axis or 0],)
        if self.by == "place":
            return tuple(len(edges) - 1 for edges in self._edges)
        return (1,)

    @property
    def count(self) -> int:
        """The number of units."""
        return int(np.prod(self.shape))

    @cached_property
    def regions(self) -> list[Region]:
        """The box of each unit as `x0,y0,x1,y1` in pixels of the map, row by row; empty unless they are places."""
        if self.by != "place":
            return []
        rows, columns = self._edges
        return [
            (int(x0), int(y0), int(x1), int(y1)) for y0, y1 in pairwise(rows) for x0, x1 in pairwise(columns)
        ]

    def changed(self, numbers: Sequence[int]) -> Array:
        """Which values some units have: a boolean array that broadcasts against (units, *size)."""
        masks = np.zeros((len(numbers), *self._mask_size), bool)
        for mask, number in zip(masks, numbers, strict=True):
            mask[self._index(number)] = True
        return masks

    def sums(self, values: Array) -> Array:
        """The sum of the values of each unit, in float64.

        Args:
            values: of one image, (*size).
        """
        return self._reduced(np.asarray(values, np.float64), np.add)

    def equal(self, values: Array, others: Array | float) -> Array:
        """Whether two arrays have the same numbers in a unit, one for each unit.

        Args:
            values: of one image, (*size).
            others: an array that broadcasts against it.
        """
        return self._reduced(values == others, np.logical_and)

    def _reduced(self, values: Array, ufunc: np.ufunc) -> Array:
        """The values of each unit, reduced to one: (units,)."""
        if self.by == "place":
            for axis, edges in zip(self._plane, self._edges, strict=True):
                values = ufunc.reduceat(values, edges[:-1], axis=axis)
        others = tuple(axis for axis in range(values.ndim) if axis not in self._told)
        reduced: Array = ufunc.reduce(values, axis=others)
        return reduced.reshape(-1)

    @property
    def _plane(self) -> tuple[int, ...]:
        """The axes of rows and of columns in the values of one image; empty where there are none, or other places too."""
        return rows_and_columns(self.tap.axes) or ()

    @cached_property
    def _told(self) -> set[int | None]:
        """The axes along which units are told apart."""
        if self.by == "channel":
            return {self.tap.channel_axis}
        return set(self._plane) if self.by == "place" else set()

    @cached_property
    def _edges(self) -> list[Array]:
        """Where the boxes begin and end, along rows and along columns."""
        sizes = [self.size[axis] for axis in self._plane]
        return [np.linspace(0, size, min(size, self.grid) + 1).round().astype(int) for size in sizes]

    @cached_property
    def _mask_size(self) -> list[int]:
        """The shape of the mask of one unit: as the values along the axes that tell units apart, else 1."""
        return [size if axis in self._told else 1 for axis, size in enumerate(self.size)]

    def _index(self, number: int) -> tuple[Any, ...]:
        """Where a unit's values are in a mask."""
        index: list[Any] = [slice(None)] * len(self.size)
        if self.by == "channel":
            index[self.tap.channel_axis or 0] = number
        elif self.by == "place":
            x0, y0, x1, y1 = self.regions[number]
            rows, columns = self._plane
            index[rows], index[columns] = slice(y0, y1), slice(x0, x1)
        return tuple(index)


def replaced(edit: Edit, changed: Array, replacement: Array | float) -> Edit:
    """An edit that puts other values in place of some, and is as it was for the rest.

    Args:
        edit: what is done with the rest.
        changed: which values are replaced, see `Units.changed`.
        replacement: what is put there.
    """
    return Edit(
        scale=np.where(changed, 0, edit.scale),
        shift=np.where(changed, replacement, edit.shift),
        low=np.where(changed, -np.inf, edit.low),
        high=np.where(changed, np.inf, edit.high),
    )


def channel_means(tap: Tap, values: Array) -> Array:
    """The mean of each channel over all places of each image, in float64, that broadcasts against the values.

    Args:
        tap: whose values they are.
        values: (images, *shape).
    """
    places = tuple(
        axis for axis in range(1, values.ndim) if tap.channel_axis is None or axis != 1 + tap.channel_axis
    )
    means: Array = values.mean(axis=places, keepdims=True, dtype=np.float64)
    return means
