"""What of a tensor is read: along each axis which places, and by what rule where there is one."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

Places = np.ndarray[Any, np.dtype[np.int64]]
"""Places along an axis, in order, each once."""


@dataclass(frozen=True, slots=True)
class Line:
    """The regular field: unit u of axis `of` of a map reads `size` places from `offset + stride * u` on.

    Neither the ends of the axis nor gaps between the places are seen here.
    """

    of: int
    offset: int
    stride: int
    size: int

    def through(self, window: "Window") -> "Line":
        """The field one layer further back."""
        return Line(
            of=self.of,
            offset=window.stride * self.offset - window.before,
            stride=window.stride * self.stride,
            size=(self.size - 1) * window.stride + window.extent,
        )

    def united(self, other: "Line | None") -> "Line | None":
        """The smallest field around both; there is none if they move at different paces."""
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
        """From the first place that is read to the last, both included."""
        return (self.kernel - 1) * self.dilation + 1


@dataclass(frozen=True, slots=True)
class Reach:
    """What is read along one axis.

    Attributes:
        size: of the axis.
        places: which are read.
        line: how they depend on the unit, where that is regular.
        factors: for an axis that several were flattened into, those.
        because: what reads all places, whichever the unit is.
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
        """What a window reads of an axis of `size` before it. What it reads beyond the ends is padding."""
        taps = np.arange(window.kernel) * window.dilation - window.before
        found = self.places[:, np.newaxis] * window.stride + taps
        line = self.line.through(window) if self.line and window.stride > 0 else None
        return replace(self._at(found.ravel(), size), line=line)

    def spread(self, window: Window, size: int) -> "Reach":
        """What the transpose of a window reads: `self` is on the window's own, larger side."""
        taps = window.before - np.arange(window.kernel) * window.dilation
        found = (self.places[:, np.newaxis] + taps).ravel()
        found = found[found % window.stride == 0] // window.stride
        mirrored = Window(window.kernel, 1, window.dilation, window.extent - 1 - window.before)
        line = self.line.through(mirrored) if self.line and window.stride == 1 else None
        return replace(self._at(found, size), line=line)

    def mapped(self, sources: Callable[[Places], Any], size: int) -> "Reach":
        """What is read of an axis of `size` if each place reads those that `sources` gives; nothing regular."""
        return self._at(np.ravel(sources(self.places)), size)

    def united(self, other: "Reach") -> "Reach":
        """What either reads."""
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
"""What is read of a tensor: the places of each axis, and all their combinations."""


def everything(shape: Sequence[int], because: str | None = None) -> Read:
    """All of a tensor."""
    return tuple(Reach.whole(size, because) for size in shape)


def is_nothing(read: Read) -> bool:
    """Whether no place is read, as when a unit sees only padding."""
    return any(reach.places.size == 0 for reach in read)


def united(reads: Iterable[Read]) -> Read:
    """What any of them reads: exact along each axis, and so is the box around it."""
    first, *others = reads
    for other in others:
        first = tuple(a.united(b) for a, b in zip(first, other, strict=True))
    return first


def reshaped(read: Read, shape: Sequence[int]) -> Read:
    """What is read of a tensor of `shape` when it is read in another shape: axes are flattened and taken apart."""
    found: list[Reach] = []
    for sources, sizes in _matching([each.size for each in read], list(shape)):
        found.extend(_regrouped([read[number] for number in sources], [shape[number] for number in sizes]))
    return tuple(found)


def _matching(old: list[int], new: list[int]) -> Iterable[tuple[list[int], list[int]]]:
    """The smallest groups of neighbouring axes, on either side, that hold the same numbers of values."""
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
