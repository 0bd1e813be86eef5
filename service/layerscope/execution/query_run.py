"""One query: from rows and taps to activations, of which only those are computed that are not in the cache."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from layerscope.execution.admission import Workload
from layerscope.execution.batches import Job, timeout_as_deadline
from layerscope.execution.cache import ActivationCache
from layerscope.execution.inputs import Row, require_one_size, stack
from layerscope.execution.items import cut_warnings, ids_of, tokens_of
from layerscope.execution.job_stream import of_one_request
from layerscope.execution.lanes import Lane, total_seconds
from layerscope.execution.loading_memory import loading_bytes
from layerscope.execution.query_edits import QueryEdits
from layerscope.execution.watched_layers import WatchedLayers
from layerscope.graph.edits import Edit
from layerscope.graph.model import LoadedModel
from layerscope.graph.taps.tap import Shape, Tap
from layerscope.limits import Limits
from layerscope.tensors.activations import Activation, Activations
from layerscope.tensors.timing import Stopwatch
from layerscope.text import Token

Array = np.ndarray[Any, np.dtype[Any]]
Key = tuple[str, str, str]
"""The key of a cached activation: the model's digest, the row (image, preprocessing and seed), and the tap's address with the name of
the edits that it depends on."""

_TOKEN_BYTES = 1_024
"""A token as an object, as what JSON is made of, and in the answer."""


class QueryRun:
    """One query in progress.

    Args:
        model: the model that runs.
        rows: the images.
        taps: the taps whose values it needs.
        seed: of the random numbers that the model draws, if it draws any.
        timeout: the seconds within which the query must be done.
        limits: the bounds in force.
        cache: where values are kept.
        watched: observes the layers that an operator watches, unless there are edits.
        edits: what is changed inside the model.
        own: the same rows for the unedited values that edits are made of; None where they need none.
        patches: other images for such values, by id.

    Attributes:
        edits: what is changed inside the model.
        seed: as above; 0 if the model draws no random numbers.
        stopwatch: began with the query; it has the timings.
    """

    def __init__(
        self,
        model: LoadedModel,
        rows: list[Row],
        taps: list[Tap],
        seed: int,
        timeout: float,
        limits: Limits,
        cache: ActivationCache[Key],
        watched: WatchedLayers,
        edits: QueryEdits | None = None,
        own: "QueryRun | None" = None,
        patches: "Mapping[str, QueryRun] | None" = None,
    ) -> None:
        self.edits = QueryEdits(model, (), limits) if edits is None else edits
        self.seed = seed if model.description.samples else 0
        self._own = own
        self._patches = patches or {}
        self._rows = rows
        self._model = model
        self._taps = taps
        self._limits = limits
        self._cache = cache
        self._watched = watched
        self._deadline = time.monotonic() + timeout
        self._tensors: dict[int, list[Array]] = {}
        self.stopwatch = Stopwatch()

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(self._rows)

    @property
    def tokens(self) -> tuple[tuple[Token, ...], ...]:
        """Of each text; nothing if the rows are no texts."""
        return tokens_of(self._rows)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What surprises about the model, and about these rows."""
        return (*self._model.description.warnings, *cut_warnings(self._rows))

    def workload(self) -> Workload:
        """What the model has to compute."""
        rows, taps = self._missing()
        return Workload(
            model=self._model,
            taps=self._taps,
            sizes=self.sizes(),
            images=len(self._rows),
            missing_images=len(rows),
            missing_taps=taps,
        )

    def seconds(self) -> float | None:
        """An estimate of the time that running what is not in the cache takes; None where only a run can tell."""
        others = [self._own, *self._patches.values()] if self._own is not None else self._patches.values()
        return total_seconds((1, self.workload().seconds()), *((1, each.seconds()) for each in others))

    def activations(self, lane: Lane) -> Activations:
        """Run what is not in the cache, and put everything together.

        Args:
            lane: where, and for whom.

        Raises:
            DeadlineExceeded: the time is up, or the work was cancelled.
        """
        return self._activations_of(*self._values(lane))

    def _values(self, lane: Lane) -> tuple[dict[Tap, list[Array]], bool]:
        """What is kept of each tap, one array a row, and whether nothing had to run. Raises as `activations`."""
        kept = [key for key, (_, tap) in self._positions.items() if self.are_kept([tap])]
        with timeout_as_deadline():
            found, hit = self._cache.get_or_compute(
                kept,
                lambda missing: self._compute([self._positions[key] for key in missing], lane),
                self.seconds_left,
            )
            if len(kept) < len(self._positions):
                hit = False
                others = [key for key in self._positions if key not in found]
                arrays = self._compute([self._positions[key] for key in others], lane)
                found.update(zip(others, arrays, strict=True))
        return {tap: [found[row[number]] for row in self._keys] for number, tap in enumerate(self._taps)}, hit

    def _activations_of(self, values: Mapping[Tap, list[Array]], hit: bool) -> Activations:
        """The values of each row, put together."""
        by_address = {tap.address: Activation.of(tap, _stacked(rows)) for tap, rows in values.items()}
        images = tuple(each for row in self._rows for each in ids_of(row))
        described, timings = self._model.description, self.stopwatch.timings
        seed = self.seed if described.samples else None
        return Activations(
            by_address, images, self.warnings, self.edits.texts, seed, timings, hit, self.tokens
        )

    def are_kept(self, taps: Iterable[Tap]) -> bool:
        """Whether what is computed from some taps is kept: not if it has other random numbers in each run."""
        draws_anew = self._model.executable.inspection.draws_anew
        return not any(draws_anew(tap) for tap in taps)

    def derived(
        self,
        taps: Iterable[Tap],
        names: Sequence[str],
        compute: Callable[[list[int]], Sequence[Array]],
        seconds_left: Callable[[], float],
    ) -> tuple[list[Array], bool]:
        """What is computed from the values of some taps, of which only that is computed that is not in the cache.

        Args:
            taps: those that it is computed from.
            names: what it is called in the cache, for each row.
            compute: is called with the numbers of the rows that miss it.
            seconds_left: how long to wait for what other requests compute.

        Returns:
            One array a row, and whether nothing had to be computed.

        Raises:
            DeadlineExceeded: the time is up.
        """
        digest = self._model.description.digest
        keys = [(digest, row, name) for row, name in zip(self.names, names, strict=True)]
        rows = {key: number for number, key in enumerate(keys)}
        with timeout_as_deadline():
            if self.are_kept(taps):
                arrays, hit = self._cache.get_or_compute(
                    keys, lambda missing: compute([rows[key] for key in missing]), seconds_left
                )
            else:
                arrays, hit = dict(zip(rows, compute(list(rows.values())), strict=True)), False
        return [arrays[key] for key in keys], hit

    def versions(self, count: int, deadline: float, lane: Lane) -> dict[str, Any]:
        """What all jobs have in common that run changed versions of its rows.

        Args:
            count: of the versions.
            deadline: when their results are of no use any more, on the clock of `time.monotonic`.
            lane: where they run, and for whom.
        """
        return of_one_request(self._model.executable, count, self.seed, deadline, lane)

    def sizes(self) -> list[Shape]:
        """The shape of each input, without batch axis. Headers are read only if the model takes inputs of any size."""
        sizes: list[Shape] = [each.shape for each in self._model.description.inputs]
        if any(None in size for size in sizes):
            shapes = [[item.shape(self._limits) for item in row] for row in self._rows]
            require_one_size(shapes)
            sizes = list(shapes[0])
        return sizes

    def loading_bytes(self, *, every: bool) -> int:
        """The memory that loading images takes, and with texts their tokens, also as they are answered.

        Args:
            every: whether all are loaded, or only those of which values are not in the cache.
        """
        rows = self._rows if every else [self._rows[row] for row in self._missing()[0]]
        tokens = sum(len(text) for text in self.tokens)
        return loading_bytes(rows, self._limits) + _TOKEN_BYTES * tokens

    def seconds_left(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self._deadline - time.monotonic())

    @cached_property
    def _keys(self) -> list[list[Key]]:
        """The cache keys of each row, one for each tap."""
        digest = self._model.description.digest
        names = [self._key_name(tap) for tap in self._taps]
        return [[(digest, each, name) for name in names] for each in self.names]

    def _key_name(self, tap: Tap) -> str:
        """What the values of a tap are called in the cache."""
        return tap.address + self.edits.name([tap])

    @cached_property
    def names(self) -> list[str]:
        """The name of each row: of its images, their preprocessing, and the seed."""
        seed = f" seed {self.seed}" if self.seed else ""
        return ["+".join(item.key for item in row) + seed for row in self._rows]

    def _missing(self) -> tuple[list[int], tuple[Tap, ...]]:
        """The rows, and the taps, of which values are not in the cache."""
        missing = [self._positions[key] for key in self._cache.missing(self._positions)]
        return rows_and_taps(missing, self._taps)

    @cached_property
    def _positions(self) -> dict[Key, tuple[int, Tap]]:
        """The row and the tap of each key. Of an image that occurs twice, the last row: it runs once."""
        return {
            key: (number, tap)
            for number, row in enumerate(self._keys)
            for key, tap in zip(row, self._taps, strict=True)
        }

    def _compute(self, positions: Sequence[tuple[int, Tap]], lane: Lane) -> list[Array]:
        """Run the rows that miss a value, for all taps that any of them misses, and for the watched layers."""
        rows, taps = rows_and_taps(positions, self._taps)
        # Statistics of what the model makes of images say nothing of edited values.
        watched = () if self.edits else self._model.watched
        fetched = tuple(dict.fromkeys([*taps, *watched]))
        job = Job(
            executable=self._model.executable,
            inputs=stack([self.load(row) for row in rows]),
            keys=[self.names[row] for row in rows],
            taps=fetched,
            deadline=self._deadline,
            cancellation=lane.cancellation,
            owner=lane.owner,
            edits=self.edited(fetched, rows, lane),
            seed=self.seed,
        )
        arrays = dict(zip(fetched, self._outcome(job, lane), strict=True))
        if watched:
            with self.stopwatch.timed("watch"):
                self._watched.observe(self._model, {tap: arrays[tap] for tap in watched})
        line = {row: position for position, row in enumerate(rows)}
        return [_own(arrays[tap], line[row]) for row, tap in positions]

    def _outcome(self, job: Job, lane: Lane) -> list[Array]:
        """Run a job: the values of each of its taps."""
        outcome = lane.scheduler.submit(job).result(self.seconds_left())
        for moment in outcome.moments:
            self.stopwatch.add(*moment)
        return outcome.arrays

    def edited(self, taps: Iterable[Tap], rows: Sequence[int], lane: Lane) -> dict[Tap, Edit]:
        """The edits that some taps depend on, as arrays with a row for each of some images.

        Raises:
            OptionInvalid, ChannelNotFound: an edit does not fit the values.
            DeadlineExceeded: the time is up, or the work was cancelled.
        """
        if not self.edits:
            return {}
        own = self._own.activations(lane) if self._own is not None else None
        return self.edits.arrays(taps, self.sizes(), rows, own, self.patches(lane))

    def patches(self, lane: Lane) -> dict[str, Activations]:
        """The values of the other images that edits are made of, by id. Raises as `activations`."""
        return {image: run.activations(lane) for image, run in self._patches.items()}

    def load(self, number: int) -> list[Array]:
        """The tensors that go into the model for a row, one for each input. They are decoded once."""
        if number not in self._tensors:
            with self.stopwatch.timed("decode"):
                self._tensors[number] = [item.load(self._limits) for item in self._rows[number]]
        return self._tensors[number]


def rows_and_taps(
    positions: Collection[tuple[int, Tap]], order: Iterable[Tap]
) -> tuple[list[int], tuple[Tap, ...]]:
    """The rows that miss a value, and all taps that any of them misses, in order."""
    rows = {row for row, _ in positions}
    missing = {tap for _, tap in positions}
    return sorted(rows), tuple(tap for tap in order if tap in missing)


def _own(array: Array, row: int) -> Array:
    """The values of one image, copied out of a batch: a cached image must not keep the whole batch in memory."""
    own: Array = array[row]
    return own if len(array) == 1 else own.copy()


def _stacked(rows: list[Array]) -> Array:
    return rows[0][None] if len(rows) == 1 else np.stack(rows)
