"""Reach: the places of a tensor that are read, axis by axis, and a formula for them where they are regular.

The places of several axes are kept apart: what is read of a tensor is all combinations of them, a grid. For a union of two
grids that is an upper bound inside, but the box around it is exact, and the answers of the service are boxes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

Places = np.ndarray[Any, np.dtype[np.int64]]
"""Places along an axis, in order, each once."""


@dataclass(frozen=True, slots=True)
class Line:
    """A regular field: unit u of a map's axis `of` reads `size` places, from `offset + stride * u` on.

    Borders and gaps between the places, as a dilation leaves them, are ignored.
    """

    of: int
    offset: int
    stride: int
    size: int

    def through(self, window: "Window") -> "Line":
        """The field one layer further back, by the recursion of Araujo et al. 2019.

        Computing Receptive Fields of Convolutional Neural Networks, https://doi.org/10.23915/distill.00021.
        """
        return Line(
            of=self.of,
            offset=window.stride * self.offset - window.before,
            stride=window.stride * self.stride,
            size=(self.size - 1) * window.stride + window.extent,
        )

    def united(self, other: "Line | None") -> "Line | None":
        """The smallest field around both; None if their strides differ."""
        if other is None or (self.of, self.stride) != (other.of, other.stride):
            return None
        offset = min(self.offset, other.offset)
        end = max(self.offset + self.size, other.offset + other.size)
        return Line(self.of, offset, self.stride, end - offset)


@dataclass(frozen=True, slots=True)
class Window:
    """A window over an axis: place u reads `kernel` places, `dilation` apart, from `stride * u - before` on."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0

    @property
    def extent(self) -> int:
        """The number of places from the first to the last that is read."""
        return (self.kernel - 1) * self.dilation + 1


@dataclass(frozen=True, slots=True)
class Reach:
    """What is read along one axis.

    Attributes:
        size: of the axis.
        places: which are read.
        line: how the places depend on the unit, where that is regular.
        factors: the axes that this one was flattened from, so that a later reshape can restore them exactly.
        because: why all places are read, whatever the unit is.
    """

    size: int
    places: Places
    line: Line | None = None
    factors: tuple["Reach", ...] = ()
    because: str | None = None

    @classmethod
    def whole(cls, size: int, because: str | None = None) -> "Reach":
        """All places."""
        return cls(size, np.arange(size), because=because)

    @classmethod
    def unit(cls, size: int, place: int, axis: int) -> "Reach":
        """One place of a map's own axis."""
        return cls(size, np.array([place]), Line(axis, 0, 1, 1))

    def through(self, window: Window, size: int) -> "Reach":
        """What a window reads of the axis before it, which has `size` places. Places beyond the ends are padding."""
        taps = np.arange(window.kernel) * window.dilation - window.before
        found = self.places[:, np.newaxis] * window.stride + taps
        line = self.line.through(window) if self.line and window.stride > 0 else None
        return replace(self._at(found.ravel(), size), line=line)

    def spread(self, window: Window, size: int) -> "Reach":
        """What a transposed window reads of the axis before it: `self` is on the larger side.

        Place p of the larger side gets a value from place u of the smaller side if p = stride * u - before + dilation * k
        for some k. So u is read for each k where the stride divides p + before - dilation * k.
        """
        taps = window.before - np.arange(window.kernel) * window.dilation
        found = (self.places[:, np.newaxis] + taps).ravel()
        found = found[found % window.stride == 0] // window.stride
        mirrored = Window(window.kernel, 1, window.dilation, window.extent - 1 - window.before)
        line = self.line.through(mirrored) if self.line and window.stride == 1 else None
        return replace(self._at(found, size), line=line)

    def mapped(self, sources: Callable[[Places], Any], size: int) -> "Reach":
        """What is read of an axis of `size` places if each place reads those that `sources` gives, without a formula."""
        return self._at(np.ravel(sources(self.places)), size)

    def united(self, other: "Reach") -> "Reach":
        """What either of the two reads."""
        return Reach(
            self.size,
            np.union1d(self.places, other.places),
            self.line and self.line.united(other.line),
            because=self.because or other.because,
        )

    def _at(self, found: Places, size: int) -> "Reach":
        inside = found[(found >= 0) & (found < size)]
        return Reach(size, np.unique(inside), because=self.because)


Read = tuple[Reach, ...]
"""What is read of a tensor: all combinations of the places of each axis."""


def everything(shape: Sequence[int], because: str | None = None) -> Read:
    """All of a tensor."""
    return tuple(Reach.whole(size, because) for size in shape)


def is_nothing(read: Read) -> bool:
    """Whether no place is read, as when a unit reads only padding."""
    return any(reach.places.size == 0 for reach in read)


def united(reads: Iterable[Read]) -> Read:
    """What any of them reads: exact along each axis, and so is the box around all."""
    first, *others = reads
    for other in others:
        first = tuple(a.united(b) for a, b in zip(first, other, strict=True))
    return first


def reshaped(read: Read, shape: Sequence[int]) -> Read:
    """What is read of a tensor of `shape` whose reshaped values are read: axes are flattened and split up.

    Both shapes are cut into the smallest groups of neighbouring axes with equal products. Within a group, places are
    numbered along the flattened axis, and those numbers are split into places along the other side's axes.
    """
    found: list[Reach] = []
    for sources, sizes in _matching([each.size for each in read], list(shape)):
        found.extend(_regrouped([read[number] for number in sources], [shape[number] for number in sizes]))
    return tuple(found)


def _matching(old: list[int], new: list[int]) -> Iterable[tuple[list[int], list[int]]]:
    """The smallest groups of neighbouring axes of both shapes that hold the same number of values."""
    i = j = 0
    while i < len(old) or j < len(new):
        left: list[int] = []
        right: list[int] = []
        held, wanted = 1, 1
        while True:
            if i < len(old) and (not left or held < wanted or (held == wanted and old[i] == 1)):
                left.append(i)
                held *= old[i]
                i += 1
            elif j < len(new) and (not right or wanted < held or (held == wanted and new[j] == 1)):
                right.append(j)
                wanted *= new[j]
                j += 1
            elif held == wanted or (i == len(old) and j == len(new)):
                break
        yield left, right


def _regrouped(axes: list[Reach], sizes: list[int]) -> list[Reach]:
    old = [each for each in axes if each.size != 1]
    new = [size for size in sizes if size != 1]
    if len(old) == len(new) <= 1:
        moved = old
    elif len(old) == 1 and [each.size for each in old[0].factors] == new:
        moved = list(old[0].factors)
    else:
        moved = _taken_apart(_flattened(old), new)
    remaining = iter(moved)
    nothing = any(each.places.size == 0 for each in axes)
    single = Reach(1, np.arange(0 if nothing else 1))
    return [next(remaining) if size != 1 else single for size in sizes]


def _flattened(axes: list[Reach]) -> Reach:
    if len(axes) == 1:
        return axes[0]
    sizes = [each.size for each in axes]
    grids = np.meshgrid(*(each.places for each in axes), indexing="ij")
    places = np.ravel_multi_index([grid.ravel() for grid in grids], sizes)
    because = next((each.because for each in axes if each.because), None)
    return Reach(prod(sizes), places, factors=tuple(axes), because=because)


def _taken_apart(axis: Reach, sizes: list[int]) -> list[Reach]:
    if len(sizes) == 1:
        return [axis]
    places = np.unravel_index(axis.places, sizes)
    return [
        Reach(size, np.unique(each), because=axis.because) for size, each in zip(sizes, places, strict=True)
    ]
