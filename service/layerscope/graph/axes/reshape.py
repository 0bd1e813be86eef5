"""Axes behind a reshape: which axes were flattened into one, and which one was taken apart.

Values keep their row-major order. So where the product of some sizes, from an end of both shapes or from the last such place
on, is the same before and after, the axes before were made into those behind.
"""

from collections.abc import Iterator, Sequence
from math import prod

from layerscope.graph.axes.dimension import PLACES, SINGLE, UNKNOWN, Dimension, Dimensions, flattened
from layerscope.graph.axes.sizes import free_size

Part = tuple[Dimension, int]

_ORDERED = PLACES - {"tokens"}
"""Axes of places whose parts are scattered where they are taken apart. Tokens may be the rows and columns of a map."""


def reshaped(
    dimensions: Dimensions,
    before: Sequence[int | None],
    after: Sequence[int | None],
    target: Sequence[int] | None,
) -> Dimensions:
    """The axes of a reshaped tensor.

    Args:
        dimensions: its axes before.
        before: its shape before.
        after: its shape behind.
        target: the shape as the graph computes it, see `computed_sizes`; None where it cannot be told.
    """
    unknown: Dimensions = (UNKNOWN,) * len(after)
    parts = [
        part for axis, own in enumerate(zip(dimensions, before, strict=True)) for part in _parts(*own, axis)
    ]
    old = [size for _, size in parts]
    if None in old or 0 in old or len(target or after) != len(after):
        return unknown
    known = [(part, size) for part, size in parts if size is not None]
    new = _completed(
        prod(size for _, size in known), [_or(*pair) for pair in zip(after, target or after, strict=True)]
    )
    return unknown if new is None else tuple(_grouped([part for part in known if part[1] != 1], new))


def _parts(dimension: Dimension, size: int | None, axis: int) -> Iterator[tuple[Dimension, int | None]]:
    """The axes that one was flattened from, with a number for each size that only a run tells."""
    parts = dimension.taken_apart(size)
    sizes = [free_size(axis + place) if own is None else own for place, (_, own) in enumerate(parts)]
    if size is not None and None not in sizes and prod(own for own in sizes if own is not None) != size:
        yield dimension, size
        return
    yield from ((part, own) for (part, _), own in zip(parts, sizes, strict=True))


def _or(size: int | None, computed: int | None) -> int | None:
    return size if size is not None or computed == -1 else computed


def _completed(values: int, sizes: Sequence[int | None]) -> Sequence[int] | None:
    """A shape with the one size that is free worked out; None if it does not hold so many values."""
    free = [place for place, size in enumerate(sizes) if size is None]
    rest = prod(size for size in sizes if size is not None)
    if len(free) > 1 or not rest or values % rest or (not free and values != rest):
        return None
    return [values // rest if size is None else size for size in sizes]


def _grouped(parts: Sequence[Part], sizes: Sequence[int]) -> Iterator[Dimension]:
    """The axes of `sizes` that `parts`, none of which has size 1, are made into."""
    waiting, owed = list(parts), list(sizes)
    while owed:
        size = owed.pop(0)
        if size == 1:
            yield SINGLE
            continue
        taken = [waiting.pop(0)]
        made = [size]
        while prod(own for _, own in taken) != prod(made):
            if prod(own for _, own in taken) < prod(made):
                taken.append(waiting.pop(0))
            else:
                made.append(owed.pop(0))
        yield from _remade(taken, made)


def _remade(taken: Sequence[Part], made: Sequence[int]) -> Iterator[Dimension]:
    """Some axes made into others of as many places in all."""
    if len(made) == 1:
        yield flattened(taken)
        return
    names = [part.name for part, _ in taken]
    wide = [place for place, size in enumerate(made) if size != 1]
    last = wide[-1] if wide else len(made) - 1
    for place, size in enumerate(made):
        if size == 1:
            yield SINGLE
        elif place == wide[0] and (names[0] == "batch" or (names[0] in _ORDERED and not taken[0][1] % size)):
            # Taken apart into coarse places, and those within each of them.
            yield Dimension(names[0], is_reversed=taken[0][0].is_reversed)
        elif place == last and names[-1] == "channels":
            yield Dimension("channels")
        elif set(names) & {*_ORDERED, "scattered"}:
            yield Dimension("scattered", within=names[0] if len(names) == 1 else None)
        else:
            yield UNKNOWN
