"""Local changes of one image along a path: each version has one covered box."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from layerscope.errors import InputMismatch
from layerscope.graph.local.axes import Axis, Box, changed, windows
from layerscope.graph.local.paths import Checkpoint, LocalPath
from layerscope.graph.runtime.executable import Executable
from layerscope.graph.runtime.runner import Runner
from layerscope.graph.taps.tap import Tap

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class _Stage:
    """From one checkpoint to the next.

    Attributes:
        boxes: for each version, where its change is at the checkpoint.
        windows: for each version, what is run: the changed box and all that its readers read around it.
        changed: for each version, where its change is at the following checkpoint.
    """

    checkpoint: Checkpoint
    following: Checkpoint
    axes: tuple[Axis, ...]
    boxes: Sequence[Box]
    windows: Sequence[Box]
    changed: Sequence[Box]

    @classmethod
    def between(cls, checkpoint: Checkpoint, following: Checkpoint, boxes: Sequence[Box]) -> "_Stage":
        axes = following.behind(checkpoint)
        assert axes is not None  # noqa: S101
        return cls(
            checkpoint, following, axes, boxes, windows(axes, boxes), [changed(axes, box) for box in boxes]
        )

    def found(self, version: int, units: Array) -> Array:
        """The changed values at the following checkpoint, cut out of the units that were computed from the window.

        Raises:
            InputMismatch: the layers between made fewer units of the window than of the whole.
        """
        firsts = (axis.units_from(each) for axis, each in zip(self.axes, self.windows[version], strict=True))
        change = _moved(self.changed[version], firsts)
        if any(
            each.stop > units.shape[number]
            for number, each in zip(self.following.numbers, change, strict=True)
        ):
            address = self.following.tap.address
            raise InputMismatch(f"{address} has other places on part of its input.", layer=address)
        return units[_index(self.following, change, units.ndim)]


class LocalChanges:
    """Versions of one image, each with one covered box.

    A version is computed in stages. Each stage takes a window out of the values of the whole image at a checkpoint, pastes
    the changed box in, runs the layers up to the following checkpoint on the window, and cuts the changed box out of the
    result. At the last checkpoint the box is pasted into the values of the whole image, and the rest of the model runs.

    Args:
        executable: of the model.
        path: from the input that is covered.
        values: of the image as it is, without an axis of images, at each checkpoint of the path.
        others: of the model's other inputs, likewise.
        boxes: which rows and columns are covered, one box a version.
        cover: what covers, in the shape of the input.
    """

    def __init__(
        self,
        executable: Executable,
        path: LocalPath,
        values: Mapping[Tap, Array],
        others: Mapping[Tap, Array],
        boxes: Sequence[Box],
        cover: Array,
    ) -> None:
        self._executable = executable
        self._path = path
        self._values = values
        self._others = others
        self._cover = cover
        self._boxes = boxes
        self._stages: list[_Stage] = []
        for checkpoint, following in pairwise(path.checkpoints):
            stage = _Stage.between(checkpoint, following, boxes)
            self._stages.append(stage)
            boxes = stage.changed
        self._last = boxes

    @property
    def is_ready(self) -> bool:
        """Whether all plans are compiled."""
        return all(self._executable.plans.is_part_ready(*part) for part in self._parts())

    def compile(self) -> None:
        """Compile all plans."""
        for part in self._parts():
            self._executable.plans.compile_part(*part)

    def run(self, versions: Sequence[int], tap: Tap, runner: Runner) -> Array:
        """Values of some versions, (versions, *tap shape).

        Args:
            versions: their numbers.
            tap: the path's target or its last checkpoint.
            runner: runs the model.

        Raises:
            InputMismatch: the layers on the path compute a part of their input in another way than the whole.
        """
        last = self._path.checkpoints[-1]
        everything = tuple(range(axis.units) for axis in last.axes)
        boxes = [self._last[each] for each in versions]
        whole = self._pasted(last, [everything] * len(versions), boxes, self._carried(versions, runner))
        return whole if tap is last.tap else self._run_between(runner, last, whole, tap)

    def _carried(self, versions: Sequence[int], runner: Runner) -> list[Array]:
        """The changed values of some versions at the last checkpoint."""
        first = self._path.checkpoints[0]
        contents = [self._cover[_index(first, self._boxes[each], self._cover.ndim)] for each in versions]
        for stage in self._stages:
            windows, boxes = ([places[each] for each in versions] for places in (stage.windows, stage.boxes))
            crops = self._pasted(stage.checkpoint, windows, boxes, contents)
            units = self._run_between(runner, stage.checkpoint, crops, stage.following.tap)
            contents = [stage.found(version, each) for version, each in zip(versions, units, strict=True)]
        return contents

    def _parts(self) -> list[tuple[tuple[Tap, ...], tuple[Tap]]]:
        taps = [*(checkpoint.tap for checkpoint in self._path.checkpoints), self._path.target]
        return [((source, *self._others), (target,)) for source, target in pairwise(taps)]

    def _pasted(
        self, checkpoint: Checkpoint, windows: Sequence[Box], boxes: Sequence[Box], contents: Sequence[Array]
    ) -> Array:
        """Windows of the values at a checkpoint, with the part of each change that is inside its window pasted in."""
        values = self._values[checkpoint.tap]
        rank = values.ndim
        crops = np.stack([values[_index(checkpoint, window, rank)] for window in windows])
        for crop, window, box, content in zip(crops, windows, boxes, contents, strict=True):
            common = tuple(map(_common, window, box))
            there = _index(checkpoint, _moved(common, [each.start for each in window]), rank)
            crop[there] = content[_index(checkpoint, _moved(common, [each.start for each in box]), rank)]
        return crops

    def _run_between(self, runner: Runner, checkpoint: Checkpoint, values: Array, target: Tap) -> Array:
        rows = len(values)
        others = {tap: np.broadcast_to(own, (rows, *own.shape)) for tap, own in self._others.items()}
        (found,) = runner.run_between({checkpoint.tap: values, **others}, [target])
        return found


def _common(places: range, others: range) -> range:
    start = max(places.start, others.start)
    return range(start, max(start, min(places.stop, others.stop)))


def _moved(box: Box, firsts: Iterable[int]) -> Box:
    """A box in the coordinates of a window that begins at `firsts`."""
    return tuple(
        range(each.start - first, each.stop - first) for each, first in zip(box, firsts, strict=True)
    )


def _index(checkpoint: Checkpoint, box: Box, rank: int) -> tuple[slice, ...]:
    """The index of a box in the values of a checkpoint."""
    index = [slice(None)] * rank
    for number, places in zip(checkpoint.numbers, box, strict=True):
        index[number] = slice(places.start, places.stop)
    return tuple(index)
