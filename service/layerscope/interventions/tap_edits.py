"""Edits of taps: what a request changes, by tap of one model, and the arrays that a run takes for it."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from layerscope.errors import OptionInvalid
from layerscope.graph.edits import Edit
from layerscope.graph.taps.geometry import rows_and_columns
from layerscope.graph.taps.selectors import TapIndex
from layerscope.graph.taps.tap import Tap
from layerscope.interventions.options import MEAN, EditOptions
from layerscope.interventions.units import channel_means

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class TapEdit:
    """All edits of one tap in a request. No two of them change the same values.

    Attributes:
        tap: the tap.
        parts: the edits, with the selector replaced by the address.
    """

    tap: Tap
    parts: tuple[EditOptions, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """A text that names everything that the edited values depend on, besides the image."""
        return hashlib.sha256("\n".join(part.text for part in self.parts).encode()).hexdigest()

    @property
    def needs_own_values(self) -> bool:
        """Whether the values of the image without edits must be known."""
        return any(part.set == MEAN for part in self.parts)

    @property
    def patches(self) -> list[str]:
        """The ids of the images whose values are put in place of those of this image."""
        return [part.patch for part in self.parts if part.patch is not None]

    def edit(self, shape: Sequence[int], own: Array | None, patches: Mapping[str, Array]) -> Edit:
        """The arrays of the edit, for images of one size.

        Args:
            shape: of the tap for one image.
            own: the values of the images without edits, (batch, *shape); needed where `needs_own_values`.
            patches: of the other images by id, (*shape).

        Raises:
            OptionInvalid: an edit does not fit the shape, or two edits change the same values.
            ChannelNotFound: there is no such channel.
        """
        rank = 1 + len(shape)
        arrays: dict[str, Array] = {
            name: np.full((1,) * rank, neutral) for name, neutral in vars(Edit()).items()
        }
        taken = np.zeros((1,) * rank, bool)
        for part in self.parts:
            chosen = self._chosen(part, shape)
            if np.logical_and(taken, chosen).any():
                raise OptionInvalid(
                    f"Two edits change the same values of {self.tap.address}: give one of them.",
                    option="edit",
                )
            taken = np.logical_or(taken, chosen)
            for name, value in self._values(part, shape, own, patches):
                arrays[name] = np.where(chosen, value, arrays[name])
        return Edit(**{name: array.astype(np.float64) for name, array in arrays.items()})

    def _chosen(self, part: EditOptions, shape: Sequence[int]) -> Array:
        """Which values an edit changes: a boolean array that broadcasts against (batch, *shape)."""
        chosen = np.ones((1,) * (1 + len(shape)), bool)
        axis = self.tap.channel_axis
        selection = part.selection
        if not selection.is_all:
            if axis is None:
                raise OptionInvalid(f"{self.tap.address} has no channels to choose from.", option="edit")
            selection.require(shape[axis], self.tap.address)
            chosen = chosen & _along(
                np.isin(np.arange(shape[axis]), selection.listed), 1 + axis, 1 + len(shape)
            )
        if part.region is not None:
            chosen = chosen & self._region(part.region, shape)
        return chosen

    def _region(self, region: Sequence[int], shape: Sequence[int]) -> Array:
        plane = rows_and_columns(self.tap.axes)
        if plane is None:
            named = ", ".join(self.tap.axes)
            raise OptionInvalid(
                f"{self.tap.address} takes no region: its axes are {named}, not rows and columns.",
                option="edit",
            )
        x0, y0, x1, y1 = region
        height, width = (shape[axis] for axis in plane)
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise OptionInvalid(
                f"region={x0},{y0},{x1},{y1} is not inside the map of {self.tap.address}, {width} wide and {height} high.",
                option="edit",
            )
        rows = np.zeros(height, bool)
        columns = np.zeros(width, bool)
        rows[y0:y1], columns[x0:x1] = True, True
        rank = 1 + len(shape)
        return _along(rows, 1 + plane[0], rank) & _along(columns, 1 + plane[1], rank)

    def _values(
        self, part: EditOptions, shape: Sequence[int], own: Array | None, patches: Mapping[str, Array]
    ) -> Iterator[tuple[str, Array | float]]:
        """What an edit puts into the arrays, where it changes values."""
        if part.set is not None or part.patch is not None:
            yield "scale", 0.0
        if part.patch is not None:
            yield "shift", patches[part.patch][None]
        elif part.set == MEAN:
            if own is None:
                raise AssertionError("The values of the image are needed.")
            yield "shift", channel_means(self.tap, own)
        elif part.set is not None:
            yield "shift", float(part.set)
        for name, numbers in (("scale", part.scale), ("shift", part.add)):
            if numbers is not None:
                yield name, self._by_channel(part, numbers, shape)
        for name, bound in (("low", part.low), ("high", part.high)):
            if bound is not None:
                yield name, bound

    def _by_channel(self, part: EditOptions, numbers: Sequence[float], shape: Sequence[int]) -> Array:
        """One number for all values, or one for each chosen channel."""
        rank = 1 + len(shape)
        if len(numbers) == 1:
            return np.full((1,) * rank, numbers[0])
        axis = self.tap.channel_axis
        count = 0 if axis is None else part.selection.count(shape[axis])
        if axis is None or len(numbers) != count:
            raise OptionInvalid(
                f"An edit of {self.tap.address} has {len(numbers)} numbers for {count} channels: give one, or one for each.",
                option="edit",
            )
        values = np.zeros(shape[axis])
        values[part.selection.listed or slice(None)] = numbers
        return _along(values, 1 + axis, rank)


def tap_edits(index: TapIndex, edits: Sequence[EditOptions]) -> tuple[TapEdit, ...]:
    """The edits of a request by tap, in graph order.

    Raises:
        LayerNotFound, InvalidSelector: a selector selects nothing, or is none.
    """
    parts: dict[Tap, list[EditOptions]] = {tap: [] for tap in index.select([edit.tap for edit in edits])}
    for edit in edits:
        for tap in index.select([edit.tap]):
            parts[tap].append(edit.model_copy(update={"tap": tap.address}))
    return tuple(TapEdit(tap, tuple(sorted(own, key=lambda part: part.text))) for tap, own in parts.items())


def _along(values: Array, axis: int, rank: int) -> Array:
    """A vector as an array that lies along one axis of `rank`."""
    return values.reshape([-1 if number == axis else 1 for number in range(rank)])
