"""The layers between which a change is carried on as a box: those that spare the most work."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, prod

from cachetools import LRUCache

from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.local.axes import Axis, Box, changed, windows
from layerscope.graph.receptive.field import ReceptiveFields, axes_of_places
from layerscope.graph.receptive.reach import Line
from layerscope.graph.runtime.executable import Executable
from layerscope.graph.taps.selectors import TapIndex
from layerscope.graph.taps.tap import Tap

_KEPT = 64
_PLANE = {"y", "x"}
_WORTH = 0.97
"""A further checkpoint must leave at most so much of the work: each takes a call."""

_COPIED = 64
"""How many multiplications take as long as a number that is fetched, put around a box, and fed."""


@dataclass(frozen=True)
class Checkpoint:
    """A value on the way.

    Attributes:
        tap: of an input or a layer.
        numbers: which axes of the values of one image are those of places.
        axes: how its units belong to places of the input.
        size: how many numbers it is for one image.
    """

    tap: Tap
    numbers: tuple[int, ...]
    axes: tuple[Axis, ...]
    size: int

    def behind(self, other: "Checkpoint") -> tuple[Axis, ...] | None:
        """The axes from the units of an earlier checkpoint to those of this; None if they do not fit each other."""
        axes = [own.behind(before) for own, before in zip(self.axes, other.axes, strict=True)]
        return None if None in axes else tuple(each for each in axes if each is not None)


@dataclass(eq=False)
class LocalPath:
    """From an input to a target: the first checkpoint is the input, and behind the last all is computed.

    Attributes:
        checkpoints: on the way.
        target: the value at its end, which is computed from the input through each of the checkpoints only.
        is_trusted: whether it has led to the values that the whole model has; None before somebody has tried.
    """

    checkpoints: tuple[Checkpoint, ...]
    target: Tap
    is_trusted: bool | None = field(default=None)


class LocalPaths:
    """The paths of one model."""

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
        """The path of least work.

        Args:
            source: an input with rows and columns.
            target: what is wanted.
            input_shapes: of one image.
            box: how many rows and columns change.

        Returns:
            None where nothing is spared: what the first layers compute of a box depends on the whole image, or the box
            is as good as the whole.
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
            ways = {each: sorted([*chosen, each], key=work.__getitem__) for each in candidates}
            costs = {each: _cost(way, middle, work, total) for each, way in ways.items()}
            best = min(candidates, key=costs.__getitem__)
            if costs[best] > _WORTH * least:
                break
            chosen, least = ways[best], costs[best]
            candidates.remove(best)
        return LocalPath(tuple(chosen), target) if len(chosen) > 1 else None

    def _checkpoints(
        self, start: Checkpoint, target: Tap, input_shapes: Sequence[tuple[int, ...]], box: Box
    ) -> Iterator[Checkpoint]:
        """The values that every way from the input to the target leads through, as far as changes stay boxes."""
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
    """A value with rows and columns; without `lines` an input."""
    numbers = {name: axis - 1 for name, axis in axes_of_places(tap.channel_axis, len(shape)).items()}
    if set(numbers) != _PLANE or (lines is not None and set(lines) != _PLANE):
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


def _cost(way: Sequence[Checkpoint], box: Box, work: Mapping[Checkpoint, int], total: int) -> float:
    """The work for one change on a way, about; infinite where fields along it do not fit each other."""
    cost = float(total - work[way[-1]] + _COPIED * way[-1].size)
    for checkpoint, following in pairwise(way):
        axes = following.behind(checkpoint)
        if axes is None:
            return inf
        (window,) = windows(axes, [box])
        share = prod(map(len, window)) / prod(axis.places for axis in axes)
        cost += share * (work[following] - work[checkpoint] + _COPIED * checkpoint.size)
        box = changed(axes, box)
    return cost
