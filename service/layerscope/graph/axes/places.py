"""Rules for operations that join places of an axis, cut some out, or put them in another order."""

from layerscope.graph.axes.dimension import (
    CHANNELS,
    SINGLE,
    UNKNOWN,
    Dimension,
    Dimensions,
    broadcast,
    united,
)
from layerscope.graph.axes.step import Step, Unclear


def concat(step: Step) -> Dimensions:
    """Class tokens before or behind a map of tokens do not hide it."""
    *numbers, last = range(len(step.sources))
    known = [number for number in numbers if step.read[number] is not None]
    shapes = [step.shape(number) for number in numbers]
    axis = step.numbers(last)[0] % len(shapes[0])
    found = list(broadcast([(step.dimensions(number), None) for number in known]))
    along = [step.dimensions(number)[axis] for number in known]
    gridded = [number for number, own in zip(known, along, strict=True) if own.grid is not None]
    found[axis] = united([each.resized() for each in along])
    if len(gridded) == 1:
        before = [shapes[number][axis] for number in numbers[: gridded[0]]]
        count = None if None in before else sum(size or 0 for size in before)
        found[axis] = step.dimensions(gridded[0])[axis].behind(count)
    return tuple(found)


def split(step: Step) -> Dimensions:
    """`Split` takes its axis first, `SplitV` last."""
    value, axis = (1, 0) if step.op == "Split" else (0, 2)
    found = list(step.dimensions(value))
    cut = step.numbers(axis)[0] % len(found)
    found[cut] = found[cut].resized()
    return tuple(found)


def cut(step: Step) -> Dimensions:
    """What stands between brackets in Python."""
    found: list[Dimension] = []
    dimensions, sizes, axis = step.dimensions(), step.shape(), 0
    for part in brackets(step):
        if part is None:
            found.append(SINGLE)
            continue
        if isinstance(part, slice):
            found.append(_kept(dimensions[axis], sizes[axis], part))
        axis += 1
    return tuple(found)


def brackets(step: Step) -> list[slice | int | None]:
    """What stands between brackets in Python, an ellipsis written out: None for an axis that is inserted."""
    rank = len(step.shape())
    if step.op == "Slice":
        pairs = zip(step.numbers(1), step.numbers(2), strict=True)
        return [slice(begin, None if size < 0 else begin + size) for begin, size in pairs]
    attr = step.node.attr
    masks = {name: attr[f"{name}_mask"].i for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    found: list[slice | int | None] = []
    places = list(zip(step.numbers(1), step.numbers(2), step.numbers(3), strict=True))
    ellipsis: int | None = None
    for number, (begin, end, pace) in enumerate(places):
        is_set = {name for name, mask in masks.items() if mask >> number & 1}
        if "ellipsis" in is_set:
            ellipsis = len(found)
        elif "new_axis" in is_set:
            found.append(None)
        elif "shrink_axis" in is_set:
            found.append(begin)
        else:
            found.append(slice(None if "begin" in is_set else begin, None if "end" in is_set else end, pace))
    missing: list[slice | int | None] = [slice(None)] * (rank - sum(part is not None for part in found))
    at = len(found) if ellipsis is None else ellipsis
    return found[:at] + missing + found[at:]


def leaves_out_map(step: Step) -> bool:
    """Whether an operation takes tokens of a map of tokens that are none of the map, such as the class token.

    Raises:
        Unclear: which tokens it takes depends on the image.
    """
    dimensions, sizes = step.dimensions(), step.shape()
    axis = next((axis for axis, own in enumerate(dimensions) if own.grid is not None), None)
    grid, size = (None, None) if axis is None else (dimensions[axis].grid, sizes[axis])
    if axis is None or grid is None or size is None:
        return False
    if step.op in {"Gather", "GatherV2"}:
        own = step.numbers(2)[0] % len(dimensions) if step.op == "GatherV2" else 0
        taken = {place % size for place in step.numbers(1)} if own == axis else set(range(size))
    else:
        part = [each for each in brackets(step) if each is not None][axis]
        taken = set(range(size)[part]) if isinstance(part, slice) else {part % size}
    return taken.isdisjoint(range(grid.offset, grid.offset + grid.height * grid.width))


def pad(step: Step) -> Dimensions:
    """Places before the first and behind the last."""
    before = step.numbers(1)[::2]
    after = step.numbers(1)[1::2]
    return tuple(
        each.behind(first) if first or last else each
        for each, first, last in zip(step.dimensions(), before, after, strict=True)
    )


def gather(step: Step) -> Dimensions:
    """Rows of a table by number, as of an embedding; or places of an axis in another order."""
    numbers = step.dimensions(1)
    if step.read[0] is None:
        rest = len(step.given()) - len(numbers)
        return (*numbers, *(UNKNOWN,) * (rest - 1), CHANNELS) if rest else numbers
    table = step.dimensions()
    axis = step.numbers(2)[0] % len(table) if step.op == "GatherV2" else 0
    if step.node.attr["batch_dims"].i:
        raise Unclear
    chosen = (table[axis].resized(),) if step.read[1] is None and len(numbers) == 1 else numbers
    return (*table[:axis], *chosen, *table[axis + 1 :])


def repeat(step: Step) -> Dimensions:
    """Repeats values along axes; an axis that is longer then is none of the image."""
    given = step.given()
    own = (UNKNOWN,) * (len(given) - len(step.dimensions())) + step.dimensions()
    sizes = (1,) * (len(given) - len(step.shape())) + tuple(step.shape())
    return tuple(
        each if size == new or size == 1 else each.resized()
        for each, size, new in zip(own, sizes, given, strict=True)
    )


def _kept(own: Dimension, size: int | None, part: slice) -> Dimension:
    """An axis of `size` places of which a part is kept."""
    if size is None:
        is_whole = part.start in {None, 0} and part.stop is None and part.step in {None, 1}
        if is_whole:
            return own
        return own.reversed() if (part.step or 1) < 0 else own.resized()
    kept = range(size)[part]
    if kept == range(size):
        return own
    if kept.step < 0:
        return own.reversed()
    grid = own.behind(-kept.start).grid if kept.step == 1 else None
    if grid is None or grid.offset + grid.height * grid.width > len(kept):
        return own.resized()
    return own.behind(-kept.start)
