"""Demands: what an operation takes the axes that it reads to be, and what follows for the axes before them."""

from collections.abc import Callable, Iterator, Mapping

from layerscope.graph.axes.dimension import BATCH, TIME, TOKENS, UNKNOWN, WIDTH, Dimensions
from layerscope.graph.axes.rules import COMBINING, PASSING
from layerscope.graph.axes.step import Step, Unclear
from layerscope.graph.axes.windows import WINDOWED, window_axes
from layerscope.graph.taps.tap import Shape

Demand = tuple[str, Dimensions]
"""A tensor, and the axes that it is taken to have; `unknown` where nothing is demanded."""

_TABLES = frozenset({"Gather", "GatherV2", "ResourceGather"})


def demanded_by(step: Step) -> Demand | None:
    """What an operation demands of the axes that it reads: a convolution slides over a map, an embedding reads tokens."""
    if step.op in WINDOWED:
        number = 2 if "BackpropInput" in step.op else 0
        return None if step.read[number] is None else (step.sources[number], window_axes(step))
    if step.op in _TABLES and step.read[0] is None:
        own = step.read[1]
        return None if own is None or len(own) != 2 else (step.sources[1], (BATCH, TOKENS))
    return None


def demands_before(step: Step, wanted: Dimensions) -> Iterator[Demand]:
    """What follows for the tensors that an operation reads if its output is taken to have some axes."""
    if step.op in PASSING | COMBINING:
        yield from ((tensor, wanted) for tensor in step.sources)
        return
    rule = _BEFORE.get(step.op)
    if rule is None:
        return
    try:
        found = rule(step, wanted, step.shape(), step.given())
    except Unclear:
        return
    if found is not None:
        yield step.sources[0], found


def merged(first: Dimensions | None, second: Dimensions) -> Dimensions:
    """Two demands of one tensor. Where they differ, the first counts.

    A window over one axis takes it to be time. Where another axis is, it counts positions within a step.
    """
    has_time = first is not None and TIME in first
    pairs = zip(
        first or second, [WIDTH if has_time and each == TIME else each for each in second], strict=True
    )
    return tuple(other if own.is_vague else own for own, other in pairs)


def _pad(_: Step, wanted: Dimensions, before: Shape, after: Shape) -> Dimensions:  # noqa: ARG001
    return wanted


def _transpose(step: Step, wanted: Dimensions, before: Shape, after: Shape) -> Dimensions:  # noqa: ARG001
    order = step.numbers(1)
    return tuple(wanted[order.index(axis)] for axis in range(len(before)))


def _expand(step: Step, wanted: Dimensions, _: Shape, after: Shape) -> Dimensions:
    axis = step.numbers(1)[0] % len(after)
    return (*wanted[:axis], *wanted[axis + 1 :])


def _reshape(_: Step, wanted: Dimensions, before: Shape, after: Shape) -> Dimensions | None:
    """Where steps are folded into the axis of images, or one axis of length 1 is inserted."""
    if after[0] is None and None not in after[1:] and before[2:] == after[1:]:
        return (BATCH, UNKNOWN, *wanted[1:])
    ones = [axis for axis, size in enumerate(after) if size == 1]
    inserted = [axis for axis in ones if _without(after, axis) == before]
    return (*wanted[: inserted[0]], *wanted[inserted[0] + 1 :]) if len(inserted) == 1 else None


def _cut(step: Step, wanted: Dimensions, before: Shape, after: Shape) -> Dimensions | None:
    """Where one place of an axis is taken, as a step of time."""
    mask = step.node.attr["shrink_axis_mask"].i
    axis = mask.bit_length() - 1
    is_one = mask == 1 << max(axis, 0) and _without(before, axis) == after
    return (*wanted[:axis], UNKNOWN, *wanted[axis:]) if is_one else None


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], *shape[axis + 1 :])


_BEFORE: Mapping[str, Callable[[Step, Dimensions, Shape, Shape], Dimensions | None]] = {
    **dict.fromkeys(("MirrorPad", "Pad", "PadV2"), _pad),
    "ExpandDims": _expand,
    "Reshape": _reshape,
    "StridedSlice": _cut,
    "Transpose": _transpose,
}
"""By the type of the operation: the axes of its first source, from those of its output and both shapes."""
