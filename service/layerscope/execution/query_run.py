"""One query on its way: rows and taps in, activations out, and only what nobody has computed yet is run."""

import time
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from layerscope.execution.admission import Workload
from layerscope.execution.batches import Job, timeout_as_deadline
from layerscope.execution.cache import ActivationCache
from layerscope.execution.cancellation import CancellationToken
from layerscope.execution.inputs import Row, require_one_size, stack
from layerscope.execution.scheduler import Scheduler
from layerscope.execution.watched_layers import WatchedLayers
from layerscope.graph.model import LoadedModel
from layerscope.graph.taps.tap import Shape, Tap
from layerscope.limits import Limits
from layerscope.tensors.activations import Activation, Activations
from layerscope.tensors.timing import Stopwatch

Array = np.ndarray[Any, np.dtype[Any]]
Key = tuple[str, str, str]
"""Of an activation in the cache: the model's digest, the name of the image and its preprocessing, and the tap."""


class QueryRun:
    """One query on its way: rows and taps in, activations out.

    Args:
        model: the model that runs.
        rows: the images.
        taps: the layers whose values are wanted.
        timeout: the seconds within which the query must be done.
        limits: the bounds in force.
        cache: where values are kept.
        scheduler: where jobs run.
        watched: observes the layers that an operator watches.

    Attributes:
        stopwatch: began with the query; it has the timings.
    """

    def __init__(
        self,
        model: LoadedModel,
        rows: list[Row],
        taps: list[Tap],
        timeout: float,
        limits: Limits,
        cache: ActivationCache[Key],
        scheduler: Scheduler,
        watched: WatchedLayers,
    ) -> None:
        self._rows = rows
        self._model = model
        self._taps = taps
        self._limits = limits
        self._cache = cache
        self._scheduler = scheduler
        self._watched = watched
        self._deadline = time.monotonic() + timeout
        self._tensors: dict[int, list[Array]] = {}
        self.stopwatch = Stopwatch()

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def workload(self) -> Workload:
        """What the model has to compute."""
        lacking = [self._places[key] for key in self._cache.lacking(self._places)]
        rows, taps = _rows_and_taps(lacking, self._taps)
        return Workload(
            model=self._model,
            taps=self._taps,
            sizes=self.sizes(),
            images=len(self._rows),
            missing_images=len(rows),
            missing_taps=taps,
        )

    def activations(self, cancellation: CancellationToken) -> Activations:
        """Run what is not known yet, and put everything together."""
        with timeout_as_deadline():
            found, hit = self._cache.get_or_compute(
                list(self._places),
                lambda lacking: self._compute([self._places[key] for key in lacking], cancellation),
                self.seconds_left,
            )
        by_address = {
            tap.address: Activation.of(tap, _stacked([found[row[number]] for row in self._keys]))
            for number, tap in enumerate(self._taps)
        }
        images = tuple(item.id for row in self._rows for item in row)
        return Activations(by_address, images, self._model.description.warnings, self.stopwatch.timings, hit)

    def sizes(self) -> list[Shape]:
        """The shape of each input. Only models that take any size need to see the images for that."""
        sizes: list[Shape] = [each.shape for each in self._model.description.inputs]
        if any(None in size for size in sizes):
            loaded = [self.load(number) for number in range(len(self._rows))]
            require_one_size(loaded)
            sizes = [array.shape for array in loaded[0]]
        return sizes

    def seconds_left(self) -> float:
        """Until the deadline."""
        return max(0.0, self._deadline - time.monotonic())

    @cached_property
    def _keys(self) -> list[list[Key]]:
        """The cache's key of each row's taps."""
        digest = self._model.description.digest
        return [[(digest, each, tap.address) for tap in self._taps] for each in self.names]

    @cached_property
    def names(self) -> list[str]:
        """The name of what goes into the model for each row."""
        return ["+".join(item.key for item in row) for row in self._rows]

    @cached_property
    def _places(self) -> dict[Key, tuple[int, Tap]]:
        """The row and the tap of each key; for images that are there twice, the last row."""
        return {
            key: (number, tap)
            for number, row in enumerate(self._keys)
            for key, tap in zip(row, self._taps, strict=True)
        }

    def _compute(self, places: Sequence[tuple[int, Tap]], cancellation: CancellationToken) -> list[Array]:
        """Run the rows that lack something, for all the taps that any of them lacks and those that are watched."""
        rows, taps = _rows_and_taps(places, self._taps)
        watched = self._model.watched
        fetched = tuple(dict.fromkeys([*taps, *watched]))
        job = Job(
            executable=self._model.executable,
            inputs=stack([self.load(row) for row in rows]),
            keys=[self.names[row] for row in rows],
            taps=fetched,
            deadline=self._deadline,
            cancellation=cancellation,
        )
        outcome = self._scheduler.submit(job).result(self.seconds_left())
        for moment in outcome.moments:
            self.stopwatch.add(*moment)
        arrays = dict(zip(fetched, outcome.arrays, strict=True))
        if watched:
            with self.stopwatch.timed("watch"):
                self._watched.saw(self._model, {tap: arrays[tap] for tap in watched})
        line = {row: position for position, row in enumerate(rows)}
        return [_own(arrays[tap], line[row]) for row, tap in places]

    def load(self, number: int) -> list[Array]:
        """What goes into the model for a row, one array an input."""
        if number not in self._tensors:
            with self.stopwatch.timed("decode"):
                self._tensors[number] = [item.load(self._limits) for item in self._rows[number]]
        return self._tensors[number]


def _rows_and_taps(
    places: Collection[tuple[int, Tap]], order: Iterable[Tap]
) -> tuple[list[int], tuple[Tap, ...]]:
    """The rows that lack something, and all the taps that any of them lacks, in order."""
    rows = {row for row, _ in places}
    lacking = {tap for _, tap in places}
    return sorted(rows), tuple(tap for tap in order if tap in lacking)


def _own(array: Array, row: int) -> Array:
    """One image's values; copied out of a batch, so that keeping them does not keep the whole batch."""
    own: Array = array[row]
    return own if len(array) == 1 else own.copy()


def _stacked(rows: list[Array]) -> Array:
    return rows[0][None] if len(rows) == 1 else np.stack(rows)
