"""Paths of local changes: the checkpoints between which a changed box is computed, chosen for the least work.

A tap can be a checkpoint if it is a dominator of the target: every path from the input to the target leads through it, so
that its values are all that the layers behind need. Checkpoints are chosen greedily. In each step, the one that saves most is
added, until it saves less than 3 %.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, prod

from cachetools import LRUCache

from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.local.axes import Axis, Box, changed, windows
from layerscope.graph.receptive.field import ReceptiveFields
from layerscope.graph.receptive.reach import Line
from layerscope.graph.runtime.executable import Executable
from layerscope.graph.taps.geometry import axes_of_places
from layerscope.graph.taps.selectors import TapIndex
from layerscope.graph.taps.tap import Tap

_KEPT = 64
_PLANE = {"y", "x"}
_WORTH = 0.97
"""A further checkpoint must reduce the work to at most this share: each checkpoint costs a call of TensorFlow."""

_COPIED = 64
"""The cost of a number that is fetched, copied around a box and fed, in multiplications."""


@dataclass(frozen=True)
class Checkpoint:
    """A tap on a path.

    Attributes:
        tap: of an input or a layer.
        numbers: the axes of rows and columns in the values of one image.
        axes: which places of the input its units read, along rows and columns.
        size: the number of values for one image.
    """

    tap: Tap
    numbers: tuple[int, ...]
    axes: tuple[Axis, ...]
    size: int

    def behind(self, other: "Checkpoint") -> tuple[Axis, ...] | None:
        """The axes from the units of an earlier checkpoint to those of this one; None if they do not fit."""
        axes = [own.behind(before) for own, before in zip(self.axes, other.axes, strict=True)]
        return None if None in axes else tuple(each for each in axes if each is not None)


@dataclass(eq=False)
class LocalPath:
    """A path from an input to a target.

    Attributes:
        checkpoints: in order; the first is the input. Behind the last, everything is computed.
        target: the tap at the end, which depends on the input only through each of the checkpoints.
        is_trusted: whether the path gave the values of the whole model; None before it was tried.
    """

    checkpoints: tuple[Checkpoint, ...]
    target: Tap
    is_trusted: bool | None = field(default=None)


class LocalPaths:
    """The paths of one model, kept in a cache. Safe to use from many threads."""

    def __init__(self, executable: Executable, fields: ReceptiveFields, taps: TapIndex) -> None:
        self._executable = executable
        self._fields = fields
        self._inputs = taps.select(["input"])
        self._taps = taps.outputs()
        self._known: LRUCache[tuple[object, ...], LocalPath | None] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    def best(
        self, source: Tap, target: Tap, input_shapes: Sequence[tuple[int, ...]], box: tuple[int, int]
    ) -> LocalPath | None:
        """The path of the least work.

        Args:
            source: an input with rows and columns.
            target: the tap to compute.
            input_shapes: of one image.
            box: the numbers of rows and columns that change.

        Returns:
            None where nothing is saved: already the first layers read the whole image, or the changed box reaches over
            almost all of it.
        """
        key = (source, target, *map(tuple, input_shapes), box)
        with self._lock:
            if key not in self._known:
                self._known[key] = self._found(source, target, input_shapes, box)
            return self._known[key]

    def _found(
        self, source: Tap, target: Tap, input_shapes: Sequence[tuple[int, ...]], sides: tuple[int, int]
    ) -> LocalPath | None:
        start = _checkpoint(source, input_shapes[self._inputs.index(source)])
        if start is None:
            return None
        middle = tuple(
            range((axis.units - side) // 2, (axis.units + side) // 2)
            for axis, side in zip(start.axes, sides, strict=True)
        )
        candidates = list(self._checkpoints(start, target, input_shapes, middle))
        work = {each: self._executable.inspection.work([each.tap], input_shapes) for each in candidates} | {
            start: 0
        }
        total = self._executable.inspection.work([target], input_shapes)
        chosen, least = [start], float(total)
        while candidates:
            candidate_paths = {each: sorted([*chosen, each], key=work.__getitem__) for each in candidates}
            costs = {
                each: _cost(checkpoints, middle, work, total) for each, checkpoints in candidate_paths.items()
            }
            best = min(candidates, key=costs.__getitem__)
            if costs[best] > _WORTH * least:
                break
            chosen, least = candidate_paths[best], costs[best]
            candidates.remove(best)
        return LocalPath(tuple(chosen), target) if len(chosen) > 1 else None

    def _checkpoints(
        self, start: Checkpoint, target: Tap, input_shapes: Sequence[tuple[int, ...]], box: Box
    ) -> Iterator[Checkpoint]:
        """The dominators of the target that could be checkpoints, in graph order, until a change covers a whole map."""
        number = self._inputs.index(start.tap)
        dominators = self._executable.inspection.dominators(start.tap, target)
        seen = {start.tap.tensor.name, target.tensor.name}
        for tap in self._taps:
            own = tap.tensor.batched and not tap.tensor.mixed
            if tap.tensor.name in seen or not own or node_of(tap.tensor.name) not in dominators:
                continue
            seen.add(tap.tensor.name)
            lines = self._fields.of(tap, {}, input_shapes).inputs[number].lines
            (shape,) = self._executable.inspection.shapes([tap], input_shapes)
            checkpoint = _checkpoint(tap, shape, start.axes, lines)
            if checkpoint is None or all(map(_is_whole, checkpoint.axes, changed(checkpoint.axes, box))):
                return
            yield checkpoint


def _checkpoint(
    tap: Tap, shape: Sequence[int], axes: Sequence[Axis] = (), lines: Mapping[str, Line] | None = None
) -> Checkpoint | None:
    """A checkpoint at a tap with rows and columns, None for other taps; without `lines`, the tap is an input."""
    numbers = {name: axis - 1 for name, axis in axes_of_places(tap).items()}
    if len(shape) != len(tap.shape) or set(numbers) != _PLANE or (lines is not None and set(lines) != _PLANE):
        return None
    sizes = [shape[axis] for axis in numbers.values()]
    if lines is None:
        found = tuple(Axis(0, 1, 1, size, size) for size in sizes)
    else:
        each = zip(numbers, axes, sizes, strict=True)
        found = tuple(Axis.of(lines[name], axis.places, size) for name, axis, size in each)
    return Checkpoint(tap, tuple(numbers.values()), found, prod(shape))


def _is_whole(axis: Axis, units: range) -> bool:
    return len(units) == axis.units


def _cost(checkpoints: Sequence[Checkpoint], box: Box, work: Mapping[Checkpoint, int], total: int) -> float:
    """The estimated work for one change along some checkpoints; infinite where their axes do not fit."""
    cost = float(total - work[checkpoints[-1]] + _COPIED * checkpoints[-1].size)
    for checkpoint, following in pairwise(checkpoints):
        axes = following.behind(checkpoint)
        if axes is None:
            return inf
        (window,) = windows(axes, [box])
        share = prod(map(len, window)) / prod(axis.places for axis in axes)
        cost += share * (work[following] - work[checkpoint] + _COPIED * checkpoint.size)
        box = changed(axes, box)
    return cost
