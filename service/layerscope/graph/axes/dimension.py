"""Dimension: what one axis of a tensor counts, while axes are followed through a graph."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

from layerscope.graph.axes.sizes import is_free
from layerscope.graph.taps.tap import AxisName, TokenGrid

DimensionName = AxisName | Literal["batch", "single", "scattered"]
"""`single` is an axis of length 1 that an operation has inserted: it takes the meaning of what it is broadcast against.
`scattered` is one of places that are no longer in order, such as those within windows of an image."""

PLACES = frozenset({"height", "width", "depth", "time", "tokens"})
"""Axes along which neighbours are neighbours in what the model sees."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One axis of a tensor, the batch axis included.

    Attributes:
        name: what it counts.
        parts: the axes that it was flattened from, in row-major order, with their sizes.
        grid: of tokens, the map of height and width that some of them are, in row-major order.
        within: of scattered places, the axis whose coarse places they are within, if it is one.
        is_reversed: whether the last place comes first.
    """

    name: DimensionName
    parts: tuple[tuple["Dimension", int | None], ...] = ()
    grid: TokenGrid | None = None
    within: DimensionName | None = None
    is_reversed: bool = False

    @property
    def is_in_order(self) -> bool:
        """Whether its places are in the order of what the model sees."""
        return not self.is_reversed and all(part.is_in_order for part, _ in self.parts)

    @property
    def is_vague(self) -> bool:
        """Whether it takes the meaning of what it is combined with."""
        return self.name in {"single", "unknown", "scattered"}

    @property
    def size(self) -> int | None:
        """The number of its places, if it was flattened from places of known number; else None."""
        sizes = [size for _, size in self.parts]
        return (
            None
            if not sizes or any(map(is_free, sizes))
            else prod(size for size in sizes if size is not None)
        )

    def taken_apart(self, size: int | None) -> tuple[tuple["Dimension", int | None], ...]:
        """The axes that this one, of a size, can be taken apart into: itself, if it was not flattened."""
        if self.parts:
            return tuple(inner for part, own in self.parts for inner in part.taken_apart(own))
        grid = self.grid
        if grid is not None and grid.offset == 0 and grid.height * grid.width == size:
            return (HEIGHT, grid.height), (WIDTH, grid.width)
        return ((self, size),)

    def behind(self, count: int | None) -> "Dimension":
        """The axis with `count` places inserted before the first; a negative count takes places away."""
        plain = replace(self, parts=())
        if self.grid is None or count is None:
            return replace(plain, grid=None)
        offset = self.grid.offset + count
        return replace(plain, grid=replace(self.grid, offset=offset) if offset >= 0 else None)

    def resized(self) -> "Dimension":
        """The axis with another number of places."""
        return Dimension(self.name, within=self.within, is_reversed=self.is_reversed)

    def reversed(self) -> "Dimension":
        """The axis with its places from the last to the first, if it has places."""
        return replace(self.resized(), is_reversed=self.name in PLACES and not self.is_reversed)


BATCH, SINGLE, UNKNOWN, CHANNELS = (
    Dimension("batch"),
    Dimension("single"),
    Dimension("unknown"),
    Dimension("channels"),
)
HEIGHT, WIDTH, TIME, TOKENS = (
    Dimension("height"),
    Dimension("width"),
    Dimension("time"),
    Dimension("tokens"),
)

Dimensions = tuple[Dimension, ...]
"""All axes of a tensor."""


def flattened(parts: Sequence[tuple[Dimension, int | None]]) -> Dimension:
    """The axis that several become when they are flattened."""
    if len(parts) == 1:
        return parts[0][0]
    own = tuple(parts)
    names = [part.name for part, _ in own]
    if [part for part, _ in own] == [HEIGHT, WIDTH]:
        return Dimension("tokens", own, _grid(own[0][1], own[1][1]))
    if "batch" in names:
        return Dimension("batch", own)
    if "channels" in names or "heads" in names:
        return Dimension("channels", own)
    known = [name for name in names if name != "single"]
    if known and known[0] in PLACES and all(_refines(part, known[0]) for part, _ in own):
        # An axis that is made finer, as where channels become pixels, or whole again.
        return Dimension(known[0], own)
    vague: DimensionName = "scattered" if "scattered" in known else "unknown"
    return Dimension("tokens" if len(known) > 1 and PLACES.issuperset(known) else vague, own)


def _refines(part: Dimension, name: DimensionName) -> bool:
    """Whether an axis, behind one of coarse places, has the fine places within them."""
    return part.name in {name, "single", "unknown"} or (part.name == "scattered" and part.within == name)


def _grid(rows: int | None, columns: int | None) -> TokenGrid | None:
    """A map of known size. Of images of any size, only a run tells it."""
    if rows is None or columns is None or is_free(rows) or is_free(columns):
        return None
    return TokenGrid(rows, columns, 0)


def united(dimensions: Iterable[Dimension], *, sizes: Iterable[int | None] = ()) -> Dimension:
    """The axis of which several tensors have values that are combined place by place.

    Args:
        dimensions: of each tensor.
        sizes: of each of them; an axis of one place says less than another.
    """
    found = list(dimensions)
    clear = [each for each in found if not each.is_vague]
    if len({(each.name, each.is_reversed) for each in clear}) > 1:
        pairs = zip(found, list(sizes) or [None] * len(found), strict=True)
        clear = [each for each, size in pairs if not each.is_vague and size != 1]
    names = {(each.name, each.is_reversed) for each in clear}
    if not names:
        vague = (each for name in ("scattered", "unknown") for each in found if each.name == name)
        return next(vague, found[0])
    if len(names) > 1:
        return BATCH if any(each.name == "batch" for each in clear) else UNKNOWN
    grids = {each.grid for each in clear if each.grid is not None}
    parts = [each for each in clear if each.parts]
    if len(grids) > 1:
        return clear[0].resized()
    chosen = next(iter(parts), clear[0])
    return replace(chosen, grid=next(iter(grids), None))


def broadcast(several: Sequence[tuple[Dimensions, Sequence[int | None] | None]]) -> Dimensions:
    """The axes of tensors that are combined under NumPy's broadcasting.

    Args:
        several: the axes of each tensor, and their sizes if they are known.
    """
    rank = max(len(dimensions) for dimensions, _ in several)
    found = []
    for place in range(-rank, 0):
        there = [
            (own[place], sizes[place] if sizes else None) for own, sizes in several if len(own) >= -place
        ]
        found.append(united((own for own, _ in there), sizes=[size for _, size in there]))
    return tuple(found)
