"""The engine: models in memory, and one call that takes images to activations."""

import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from layerscope.activations import Activation, Activations
from layerscope.errors import AnswerTooLarge, DeadlineExceeded
from layerscope.execution.cache import ActivationCache
from layerscope.execution.inputs import Row, Sources, require_one_size, rows_of, stack
from layerscope.execution.scheduler import Job, Scheduler
from layerscope.graph.model import LoadedModel, ModelDescription, load_model
from layerscope.graph.selectors import require_few, split_selectors
from layerscope.graph.taps import Shape, Tap
from layerscope.limits import Limits
from layerscope.models.directory import find_models
from layerscope.models.registry import Entry, Registry
from layerscope.tensor_specs import TensorSpec

Array = np.ndarray[Any, np.dtype[Any]]
Key = tuple[str, str, str]

_WORKERS = 2


@dataclass(frozen=True, kw_only=True)
class Query:
    """What to run and what of it is wanted.

    Attributes:
        model: `name`, `name@version` or `name@label`.
        sources: images or tensors by input name.
        layers: selectors, see `layerscope.graph.selectors`.
        admit: is shown what will be computed, before anything runs, and raises if the answer would be impossible.
    """

    model: str
    sources: Sources
    layers: Sequence[str]
    admit: Callable[[Sequence[TensorSpec]], None] | None = None


@dataclass(frozen=True)
class Result:
    """The answer to a query: the model that gave it, and the activations."""

    model: ModelDescription
    activations: Activations


class Engine(Protocol):
    """What the service needs of an engine.

    All calls block, may be made from any thread, and raise `layerscope.errors.LayerscopeError` for everything a
    caller can cause.
    """

    limits: Limits

    @property
    def is_ready(self) -> bool:
        """Whether every model that was asked for is loaded or has failed."""

    def catalogue(self) -> Sequence[Entry[LoadedModel]]:
        """Every version of every model, whatever its state."""

    def labels(self, name: str) -> dict[str, int]:
        """The labels of a model and the versions they point at."""

    def describe(self, reference: str) -> ModelDescription:
        """A loaded model."""

    def run(self, query: Query) -> Result:
        """The activations that a query asks for."""

    def close(self) -> None:
        """End what runs and give back all memory."""


class LocalEngine:
    """An engine in this process.

    Args:
        directory: where the models are; see `layerscope.models.directory`.
        limits: the bounds in force.
    """

    def __init__(self, directory: Path, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._directory = directory
        self._registry: Registry[LoadedModel] = Registry(
            lambda source: load_model(source, plans=self.limits.plans)
        )
        self._cache: ActivationCache[Key] = ActivationCache(self.limits.activation_cache_bytes)
        self._scheduler = Scheduler(
            workers=_WORKERS, batch_rows=self.limits.batch_rows, pending_jobs=self.limits.pending_requests
        )
        self._loading = threading.Lock()
        self._loaded = False
        self._closed = False

    @property
    def is_ready(self) -> bool:
        """Whether `load_all` has finished."""
        return self._loaded

    @property
    def runs(self) -> int:
        """How many times a model was run."""
        return self._scheduler.runs

    def load_all(self, progress: Callable[[Entry[LoadedModel]], None] | None = None) -> None:
        """Load every model of the directory, one after the other; those that fail are listed with a reason.

        Args:
            progress: called after each.
        """
        sources = find_models(self._directory)
        for source in sources:
            self._registry.announce(source)
        for source in sources:
            with self._loading:
                if self._closed:
                    return
                entry = self._registry.load(source)
            # Keras' models are full of cycles: without it their weights would stay in memory a second time.
            gc.collect()
            if progress is not None:
                progress(entry)
        self._loaded = True

    def catalogue(self) -> Sequence[Entry[LoadedModel]]:
        """Every version of every model, whatever its state."""
        return self._registry.entries()

    def labels(self, name: str) -> dict[str, int]:
        """The labels of a model and the versions they point at."""
        return self._registry.labels(name)

    def describe(self, reference: str) -> ModelDescription:
        """A loaded model.

        Raises:
            ModelNotFound, ModelLoading, ModelNotLoaded: see `Registry.lease`.
        """
        with self._registry.lease(reference) as model:
            return model.description

    def unload(self, reference: str) -> None:
        """Remove a version from memory once nobody uses it."""
        self._registry.unload(reference)

    def run(self, query: Query) -> Result:
        """The activations that a query asks for.

        Raises:
            LayerscopeError: whatever is wrong with the query, before anything runs where that can be known.
        """
        with self._registry.lease(query.model) as model:
            selectors = split_selectors(query.layers)
            require_few(selectors, self.limits)
            taps = model.description.taps.select(selectors)
            rows = rows_of(model.description, query.sources, self.limits)
            run = _Run(model, rows, taps, self.limits, self._cache, self._scheduler)
            self._admit(query, run)
            activations = run.activations()
        return Result(model.description, activations)

    def close(self) -> None:
        """End what runs and give back all memory."""
        with self._loading:
            self._closed = True
        self._scheduler.close()
        for entry in self._registry.entries():
            if entry.state in {"ready", "failed"}:
                self._registry.unload(f"{entry.source.name}@{entry.source.version}")

    def _admit(self, query: Query, run: "_Run") -> None:
        specs = [TensorSpec.of(tap, (len(run.rows), *shape)) for tap, shape in run.shapes()]
        needed = sum(spec.size * spec.dtype.itemsize for spec in specs)
        if needed > self.limits.run_bytes:
            raise AnswerTooLarge(
                f"The layers asked for are {needed:,} bytes, more than the {self.limits.run_bytes:,} one request may"
                " have computed: ask for fewer layers or images.",
                bytes=needed,
                limit=self.limits.run_bytes,
            )
        if query.admit is not None:
            query.admit(specs)


class _Run:
    """One query on its way: rows and taps in, activations out."""

    def __init__(
        self,
        model: LoadedModel,
        rows: list[Row],
        taps: list[Tap],
        limits: Limits,
        cache: ActivationCache[Key],
        scheduler: Scheduler,
    ) -> None:
        self.rows = rows
        self._model = model
        self._taps = taps
        self._limits = limits
        self._cache = cache
        self._scheduler = scheduler
        self._deadline = time.monotonic() + limits.deadline_milliseconds / 1000
        self._tensors: dict[int, list[Array]] = {}
        self._seconds = {"decode": 0.0, "queue": 0.0, "run": 0.0}

    def shapes(self) -> list[tuple[Tap, tuple[int, ...]]]:
        """Each tap's shape for these images. Only models of free input size need to see the images for that."""
        sizes: list[Shape] = [each.shape for each in self._model.description.inputs]
        if any(None in size for size in sizes):
            loaded = [self._load(number) for number in range(len(self.rows))]
            require_one_size(loaded)
            sizes = [array.shape for array in loaded[0]]
        return list(zip(self._taps, self._model.executable.shapes(self._taps, sizes), strict=True))

    def activations(self) -> Activations:
        """Run what is not known yet, and put everything together."""
        keys = [[self._key(row, tap) for tap in self._taps] for row in self.rows]
        places = {
            key: (number, tap)
            for number, row in enumerate(keys)
            for key, tap in zip(row, self._taps, strict=True)
        }
        try:
            found, hit = self._cache.get_or_compute(
                list(places),
                lambda lacking: self._compute([places[key] for key in lacking]),
                self._seconds_left,
            )
        except TimeoutError as error:
            raise DeadlineExceeded(
                "The request waited longer than it may: try again, or ask for less."
            ) from error
        by_address = {
            tap.address: Activation.of(tap, _stacked([found[row[number]] for row in keys]))
            for number, tap in enumerate(self._taps)
        }
        images = tuple(item.id for row in self.rows for item in row)
        return Activations(by_address, images, self._model.description.warnings, self._seconds, hit)

    def _key(self, row: Row, tap: Tap) -> Key:
        return self._model.description.digest, "+".join(item.key for item in row), tap.address

    def _compute(self, places: Sequence[tuple[int, Tap]]) -> list[Array]:
        """Run the rows that lack something, for all the taps that any of them lacks."""
        rows = sorted({row for row, _ in places})
        lacking = {tap for _, tap in places}
        taps = tuple(tap for tap in self._taps if tap in lacking)
        inputs = stack([self._load(row) for row in rows])
        job = Job(self._model.executable, inputs, taps, self._deadline)
        outcome = self._scheduler.submit(job).result(self._seconds_left())
        self._seconds["queue"] += outcome.queued
        self._seconds["run"] += outcome.ran
        arrays = dict(zip(taps, outcome.arrays, strict=True))
        line = {row: position for position, row in enumerate(rows)}
        return [_own(arrays[tap], line[row]) for row, tap in places]

    def _load(self, number: int) -> list[Array]:
        if number not in self._tensors:
            with self._timed("decode"):
                self._tensors[number] = [item.load(self._limits) for item in self.rows[number]]
        return self._tensors[number]

    def _seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[stage] += time.perf_counter() - started


def _own(array: Array, row: int) -> Array:
    """One image's values; copied out of a batch, so that keeping them does not keep the whole batch."""
    own: Array = array[row]
    return own if len(array) == 1 else own.copy()


def _stacked(rows: list[Array]) -> Array:
    return rows[0][None] if len(rows) == 1 else np.stack(rows)
