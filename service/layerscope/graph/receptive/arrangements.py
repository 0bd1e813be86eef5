"""Rules for operations that move values and do not change them: where each place of the output comes from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from layerscope.graph.receptive.operations import Operation, Sizes, Unclear
from layerscope.graph.receptive.reach import Reach, Read, Window, reshaped

Reads = Iterator[tuple[int, Read]]
"""What is read of the inputs of an operation, by number. An input may occur several times, or not at all."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step back through an operation.

    Attributes:
        operation: to go through.
        output: the number of the output.
        wanted: the places of it.
        layer: the layer that the operation belongs to, for explanations.
    """

    operation: Operation
    output: int
    wanted: Read
    layer: str

    @property
    def because(self) -> str:
        """The explanation of a rule that reads all places."""
        return f"{self.layer} computes from all places ({self.operation.kind})."


def broadcast(wanted: Read, shape: Sizes) -> Read:
    """What is read of an operand of `shape` under NumPy's broadcasting: an axis of length 1 is read at its only place."""
    own = wanted[len(wanted) - len(shape) :]
    return tuple(
        each if each.size == size else each.mapped(np.zeros_like, size)
        for each, size in zip(own, shape, strict=True)
    )


def reshape(step: Step) -> Reads:
    """Flattens axes and takes them apart."""
    shape = step.operation.taken(0)
    if prod(shape) != prod(each.size for each in step.wanted):
        raise Unclear
    yield 0, reshaped(step.wanted, shape)


def transpose(step: Step) -> Reads:
    """Puts axes in another order."""
    order = [int(axis) for axis in step.operation.constant(1)]
    yield 0, tuple(step.wanted[order.index(axis)] for axis in range(len(order)))


def pad(step: Step) -> Reads:
    """Padding comes from nowhere."""
    paddings, shape = step.operation.constant(1), step.operation.taken(0)
    yield (
        0,
        tuple(
            each.through(Window(1, before=int(before)), size)
            for each, (before, _), size in zip(step.wanted, paddings, shape, strict=True)
        ),
    )


def mirror_pad(step: Step) -> Reads:
    """Padding comes from inside."""
    paddings, shape = step.operation.constant(1), step.operation.taken(0)
    mode = "reflect" if step.operation.settings["mode"] == b"REFLECT" else "symmetric"
    found = []
    for each, (before, after), size in zip(step.wanted, paddings, shape, strict=True):
        sources = np.pad(np.arange(size), (int(before), int(after)), mode)  # type: ignore[call-overload]
        line = each.line and each.line.through(Window(1, before=int(before)))
        found.append(replace(each.mapped(sources.__getitem__, size), line=line))
    yield 0, tuple(found)


def concatenation(step: Step) -> Reads:
    """`ConcatV2` says its axis last."""
    shapes = [step.operation.taken(number) for number in range(len(step.operation.takes) - 1)]
    axis = int(step.operation.constant(len(shapes))) % len(step.wanted)
    starts = accumulate((shape[axis] for shape in shapes[:-1]), initial=0)
    for number, (start, shape) in enumerate(zip(starts, shapes, strict=True)):
        own = step.wanted[axis].mapped(lambda places, start=start: places - start, shape[axis])  # type: ignore[misc]
        yield number, (*step.wanted[:axis], own, *step.wanted[axis + 1 :])


def split(step: Step) -> Reads:
    """`Split` takes its axis first, `SplitV` last, after the sizes."""
    is_even = step.operation.kind == "Split"
    number = 1 if is_even else 0
    shape = step.operation.taken(number)
    axis = int(step.operation.constant(0 if is_even else 2)) % len(shape)
    start = sum(step.operation.given(other)[axis] for other in range(step.output))
    own = step.wanted[axis].through(Window(1, before=-start), shape[axis])
    yield number, (*step.wanted[:axis], own, *step.wanted[axis + 1 :])


def pack(step: Step) -> Reads:
    """Makes an axis of its inputs."""
    axis = step.operation.settings["axis"] % len(step.wanted)
    for number in step.wanted[axis].places:
        yield int(number), (*step.wanted[:axis], *step.wanted[axis + 1 :])


def unpack(step: Step) -> Reads:
    """Makes outputs of an axis."""
    shape = step.operation.taken(0)
    axis = step.operation.settings["axis"] % len(shape)
    yield 0, (*step.wanted[:axis], Reach(shape[axis], np.array([step.output])), *step.wanted[axis:])


def slice_(step: Step) -> Reads:
    """One part, from a place on."""
    begins, shape = step.operation.constant(1), step.operation.taken(0)
    yield (
        0,
        tuple(
            each.through(Window(1, before=-int(begin)), size)
            for each, begin, size in zip(step.wanted, begins, shape, strict=True)
        ),
    )


def strided_slice(step: Step) -> Reads:
    """What stands between brackets in Python."""
    shape, kept, found = step.operation.taken(0), iter(step.wanted), []
    for size, part in zip(shape, _indices(step.operation, len(shape)), strict=True):
        if isinstance(part, int):
            found.append(Reach(size, np.array([part % size])))
            continue
        start, _, pace = part.indices(size)
        found.append(next(kept).through(Window(1, stride=pace, before=-start), size))
    yield 0, tuple(found)


def _indices(operation: Operation, rank: int) -> list[Any]:
    """What stands between the brackets in Python, an ellipsis written out."""
    begins, ends, steps = (np.asarray(operation.constant(number)) for number in (1, 2, 3))
    masks = {name: operation.settings.get(f"{name}_mask", 0) for name in ("begin", "end", "ellipsis")}
    if operation.settings.get("new_axis_mask"):
        raise Unclear
    found: list[Any] = []
    for number, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        bit = 1 << number
        if masks["ellipsis"] & bit:
            found.extend([slice(None)] * (rank - len(begins) + 1))
        elif operation.settings.get("shrink_axis_mask", 0) & bit:
            found.append(int(begin))
        else:
            low, high = None if masks["begin"] & bit else int(begin), None if masks["end"] & bit else int(end)
            found.append(slice(low, high, int(step)))
    return found + [slice(None)] * (rank - len(found))


def tile(step: Step) -> Reads:
    """Repeats all along an axis."""
    shape = step.operation.taken(0)
    yield (
        0,
        tuple(
            each if each.size == size else each.mapped(lambda places, size=size: places % size, size)  # type: ignore[misc]
            for each, size in zip(step.wanted, shape, strict=True)
        ),
    )


def broadcast_to(step: Step) -> Reads:
    """Repeats the only place of an axis."""
    yield 0, broadcast(step.wanted, step.operation.taken(0))


def reverse(step: Step) -> Reads:
    """Turns axes around."""
    axes = {int(axis) % len(step.wanted) for axis in np.ravel(step.operation.constant(1))}
    yield (
        0,
        tuple(
            each.mapped(lambda places, size=each.size: size - 1 - places, each.size) if axis in axes else each  # type: ignore[misc]
            for axis, each in enumerate(step.wanted)
        ),
    )


def depth_to_space(step: Step) -> Reads:
    """Makes a square of channels."""
    block, shape = _block(step.operation), step.operation.taken(0)
    batch, *sides, _ = step.wanted
    near = (
        each.mapped(lambda places: places // block, size)
        for each, size in zip(sides, shape[1:], strict=False)
    )
    yield 0, (batch, *near, Reach.whole(shape[-1]))


def space_to_depth(step: Step) -> Reads:
    """Makes channels of a square."""
    block, shape = _block(step.operation), step.operation.taken(0)
    batch, *sides, _ = step.wanted
    window = Window(block, stride=block)
    near = (each.through(window, size) for each, size in zip(sides, shape[1:], strict=False))
    yield 0, (batch, *near, Reach.whole(shape[-1]))


def _block(operation: Operation) -> int:
    if operation.settings.get("data_format", b"NHWC") != b"NHWC":
        raise Unclear
    return int(operation.settings["block_size"])


def resize(step: Step) -> Reads:
    """Nearest or linear, as TensorFlow computes it."""
    shape = step.operation.taken(0)
    sources = _nearest if step.operation.kind == "ResizeNearestNeighbor" else _linear
    batch, *sides, channels = step.wanted
    near = (
        each.mapped(lambda places, pair=(each.size, size): sources(step.operation, places, *pair), size)  # type: ignore[misc]
        for each, size in zip(sides, shape[1:], strict=False)
    )
    yield 0, (batch, *near, channels)


def _nearest(operation: Operation, places: Any, new: int, old: int) -> Any:
    position = _position(operation, places, new, old, 0.5)
    is_rounded = operation.settings.get("align_corners")
    found = np.floor(position + np.float32(0.5)) if is_rounded else np.floor(position)
    return np.clip(found.astype(np.int64), 0, old - 1)


def _linear(operation: Operation, places: Any, new: int, old: int) -> Any:
    position = _position(operation, places, new, old, 0.5)
    if operation.settings.get("half_pixel_centers"):
        position = position - np.float32(0.5)
    ends = np.stack([np.floor(position), np.ceil(position)]).astype(np.int64)
    return np.clip(ends, 0, old - 1)


def _position(operation: Operation, places: Any, new: int, old: int, middle: float) -> Any:
    """Where places of the resized picture are in the old one, in the arithmetic of TensorFlow's kernels."""
    if operation.settings.get("align_corners") and new > 1:
        return places.astype(np.float32) * np.float32((old - 1) / np.float32(new - 1))
    scale = np.float32(old) / np.float32(new)
    if operation.settings.get("half_pixel_centers"):
        return (places.astype(np.float32) + np.float32(middle)) * scale
    return places.astype(np.float32) * scale
