"""Versions of images, run in small batches that take turns with everybody else's: the probe of one attribution."""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np

from layerscope.attribution.model_probe import Box
from layerscope.attribution.target_layers import input_channel_axis
from layerscope.attribution.targets import Target
from layerscope.errors import DeadlineExceeded, InputMismatch, QueueFull
from layerscope.execution.attribution_spec import Array, Question
from layerscope.execution.batches import Job, Outcome
from layerscope.execution.cancellation import CancellationToken
from layerscope.execution.changes import ChangesJob
from layerscope.execution.derivatives import DerivativeJob
from layerscope.execution.interface import Progress
from layerscope.execution.query_run import QueryRun
from layerscope.execution.scheduler import Scheduler
from layerscope.graph.local import LocalChanges
from layerscope.graph.model import LoadedModel
from layerscope.graph.runtime.batch_arrays import same_but_for_rounding
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.taps.tap import Tap
from layerscope.tensors.activations import Activations

_LATE = "The attribution took longer than it may, or nobody waits for it: ask for less, or try again."

MOST_AHEAD = 2
"""Batches of one attribution that wait or run at a time: as many as run at once."""

CHANGES_TOGETHER = 4
"""How many times as many versions run together where only what a box changes is run: each takes less room in caches."""

_numbers = itertools.count()

Version = Callable[[int], Array]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On what terms versions are run.

    Attributes:
        batch_rows: most of them that are run together.
        deadline: when they are of no use any more, on the clock of `time.monotonic`.
        cancellation: whether the caller still needs them.
        total: about how many there will be.
        progress: is called with the number of those that are done, and with `total`.
    """

    batch_rows: int
    deadline: float
    cancellation: CancellationToken
    total: int
    progress: Progress | None


class ImageVersions:
    """What a method may find out about some rows of a query: a `layerscope.attribution.Probe`.

    Args:
        model: what runs.
        question: what is asked.
        query: the rows.
        found: what was fetched of them.
        rows: the numbers of those that maps are made of.
        targets: what is explained of each of these; empty if nothing is.
        scheduler: where everything is run.
        terms: on what terms.
    """

    def __init__(
        self,
        model: LoadedModel,
        question: Question,
        query: QueryRun,
        found: Activations,
        rows: Sequence[int],
        targets: Sequence[Target],
        scheduler: Scheduler,
        terms: Terms,
    ) -> None:
        self._model = model
        self._question = question
        self._query = query
        self._found = found
        self._rows = rows
        self._targets = targets
        self._scheduler = scheduler
        self._terms = terms
        self._axis = input_channel_axis(model.description, question.input)
        self._inputs_taps = model.description.taps.select(["input"])
        self._input = self._inputs_taps[question.input]
        self._done = 0

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(self._rows)

    def activations(self) -> Array:
        """The values of the place."""
        if self._question.method.place == "input":
            return np.stack([self.image(number) for number in range(self.images)])
        return _channels_last(self._values(self._question.place), self._question.place.channel_axis)

    def slopes(self) -> Array:
        """The gradient of each image's score by those values."""
        question, derivative = self._question, self._question.derivative
        measured = self._values(derivative.target)
        weights = [target.weights(row) for target, row in zip(self._targets, measured, strict=True)]
        values = self._values(question.place) if derivative.is_fed else None
        outcomes = self._runs(self.images, lambda rows: self._gradient_job(rows, derivative, weights, values))
        slopes = np.concatenate([outcome.arrays[0] for outcome in outcomes])
        axis = self._axis if question.method.place == "input" else question.place.channel_axis
        return _channels_last(slopes, axis)

    def image(self, number: int) -> Array:
        """What went into the model."""
        values = self._query.load(self._rows[number])[self._question.input]
        (image,) = _channels_last(values[np.newaxis], self._axis)
        return np.asarray(image)

    def level(self, pixel: float) -> Array | None:
        """What a grey pixel is in the model's input."""
        described = self._model.description
        preprocessing = described.preprocessing[described.inputs[self._question.input].name]
        return None if preprocessing is None else preprocessing.grey_values(pixel)

    def outputs(self) -> list[float]:
        """What the model's output says of each image's target."""
        return [
            float(target.outputs(self._values(target.output.tap)[number : number + 1])[0])
            for number, target in enumerate(self._targets)
        ]

    def scores_of(self, number: int, count: int, version: Version) -> Iterator[float]:
        """The scores of versions of an image."""
        target = self._targets[number]
        for values in self._values_of(number, count, version, target.output.measured):
            yield from target.scores(values)

    def outputs_covered(self, number: int, boxes: Sequence[Box], cover: Array) -> Iterator[float]:
        """What it says where parts of an image are covered."""
        target, image = self._targets[number], self.image(number)

        def version(index: int) -> Array:
            rows, columns = (slice(each.start, each.stop) for each in boxes[index])
            covered = image.copy()
            covered[rows, columns] = cover[rows, columns]
            return covered

        changes = self._changes(number, boxes, cover, version)
        if changes is None:
            found = self._values_of(number, len(boxes), version, target.output.tap)
        else:
            found = self._changed(changes, range(len(boxes)), target.output.tap)
        for values in found:
            yield from target.outputs(values)

    def slopes_of(self, number: int, count: int, version: Version) -> Iterator[Array]:
        """The gradients of the scores of versions of an image by that version."""
        measured = self._targets[number].output.measured
        derivative = Derivative(measured, self._input, self._question.method.is_guided)

        def job(indices: range) -> Job:
            inputs = self._inputs(number, indices, version)
            weights = self._weights(number, inputs, measured)
            return DerivativeJob(
                **self._job(inputs), taps=(self._input,), derivative=derivative, inputs=[*inputs, weights]
            )

        for outcome in self._runs(count, job):
            yield from _channels_last(outcome.arrays[0], self._axis)

    def _values_of(self, number: int, count: int, version: Version, tap: Tap) -> Iterator[Array]:
        def job(indices: range) -> Job:
            inputs = self._inputs(number, indices, version)
            return Job(**self._job(inputs), inputs=inputs, taps=(tap,))

        for outcome in self._runs(count, job):
            yield outcome.arrays[0]

    def _changes(
        self, number: int, boxes: Sequence[Box], cover: Array, version: Version
    ) -> LocalChanges | None:
        """How to run versions with less work than all of the model is, where that leads to the same values."""
        own, tap = self._query.load(self._rows[number]), self._targets[number].output.tap
        sides = max(len(rows) for rows, _ in boxes), max(len(columns) for _, columns in boxes)
        route = self._model.routes.best(self._input, tap, [array.shape for array in own], sides)
        if route is None or route.is_trusted is False:
            return None
        inputs = [array[np.newaxis] for array in own]
        taps = [stop.tap for stop in route.stops]
        job = Job(**self._job(inputs), inputs=inputs, taps=tuple(taps))
        values = dict(
            zip(taps, (each[0] for each in self._finished(self._scheduler.submit(job)).arrays), strict=True)
        )
        others = {
            each: array for each, array in zip(self._inputs_taps, own, strict=True) if each is not self._input
        }
        arranged = _as_input(cover[np.newaxis], self._axis, own[self._question.input].dtype)[0]
        changes = LocalChanges(self._model.executable, route, values, others, boxes, arranged)
        if route.is_trusted is None:
            route.is_trusted = self._agrees(number, changes, len(boxes), version, taps[-1])
        return changes if route.is_trusted else None

    def _agrees(self, number: int, changes: LocalChanges, count: int, version: Version, stop: Tap) -> bool:
        """Whether some versions have the values at a stop that the whole model has of them."""
        some = sorted({0, count // 3, count // 2, count - 1})
        try:
            found = np.concatenate([*self._changed(changes, some, stop)])
        except InputMismatch:
            return False
        whole = np.concatenate(
            [*self._values_of(number, len(some), lambda index: version(some[index]), stop)]
        )
        return same_but_for_rounding(found, whole)

    def _changed(self, changes: LocalChanges, numbers: Sequence[int], tap: Tap) -> Iterator[Array]:
        def job(indices: range) -> Job:
            own = [np.array([numbers[index] for index in indices])]
            return ChangesJob(**self._job(own), inputs=own, taps=(tap,), changes=changes)

        for outcome in self._runs(len(numbers), job, CHANGES_TOGETHER * self._terms.batch_rows):
            yield outcome.arrays[0]

    def _weights(self, number: int, inputs: Sequence[Array], measured: Tap) -> Array:
        """How much the values count in the scores of versions. For a logarithm that depends on the values."""
        target, count = self._targets[number], len(inputs[0])
        if target.form != "log":
            own = self._found[measured.address].values[self._rows[number]]
            return np.repeat(target.weights(own)[np.newaxis], count, axis=0)
        job = Job(**self._job(inputs), inputs=inputs, taps=(measured,))
        values = self._finished(self._scheduler.submit(job)).arrays[0]
        return np.stack([target.weights(row) for row in values])

    def _gradient_job(
        self, rows: range, derivative: Derivative, weights: Sequence[Array], values: Array | None
    ) -> Job:
        own = [self._query.load(self._rows[row]) for row in rows]
        inputs = [np.stack(column) for column in zip(*own, strict=True)]
        fed = [] if values is None else [values[rows.start : rows.stop]]
        names = [f"{self._query.names[self._rows[row]]} {self._targets[row].key}" for row in rows]
        return DerivativeJob(
            **{**self._job(inputs), "keys": names, "is_exact": True},
            taps=(derivative.source,),
            derivative=derivative,
            inputs=[*inputs, np.stack([weights[row] for row in rows]), *fed],
        )

    def _job(self, inputs: Sequence[Array]) -> dict[str, Any]:
        """What all jobs have in common. Nobody else has the same versions: each has a name of its own.

        Which of them run together is always the same, and so are their values, to the last bit.
        """
        return {
            "executable": self._model.executable,
            "keys": [f"version {next(_numbers)}" for _ in inputs[0]],
            "deadline": self._terms.deadline,
            "cancellation": self._terms.cancellation,
            "is_exact": False,
        }

    def _inputs(self, number: int, indices: range, version: Version) -> list[Array]:
        """What goes into the model: versions of the one input that is varied, and the others as they are."""
        own = self._query.load(self._rows[number])
        place = self._question.input
        inputs = [np.broadcast_to(array, (len(indices), *array.shape)) for array in own]
        inputs[place] = _as_input(_together(indices, version), self._axis, own[place].dtype)
        return inputs

    def _values(self, tap: Tap) -> Array:
        return self._found[tap.address].values[list(self._rows)]

    def _runs(
        self, count: int, job: Callable[[range], Job], together: int | None = None
    ) -> Iterator[Outcome]:
        """Run `count` rows, some at a time and in order, and no more ahead than can be run at once."""
        size = together or self._terms.batch_rows
        pending: deque[tuple[Future[Outcome], int]] = deque()
        try:
            for start in range(0, count, size):
                rows = range(start, min(start + size, count))
                if len(pending) >= MOST_AHEAD:
                    yield self._next(pending)
                made = job(rows)
                try:
                    future = self._scheduler.submit(made)
                except QueueFull:
                    if not pending:
                        raise
                    yield self._next(pending)
                    future = self._scheduler.submit(made)
                pending.append((future, len(rows)))
            while pending:
                yield self._next(pending)
        finally:
            for future, _ in pending:
                future.cancel()

    def _next(self, pending: deque[tuple[Future[Outcome], int]]) -> Outcome:
        future, rows = pending.popleft()
        outcome = self._finished(future)
        self._done += rows
        if self._terms.progress is not None and self._terms.total > 1:
            self._terms.progress(min(self._done, self._terms.total), self._terms.total)
        return outcome

    def _finished(self, future: "Future[Outcome]") -> Outcome:
        try:
            return future.result(max(0.0, self._terms.deadline - time.monotonic()))
        except TimeoutError as error:
            future.cancel()
            raise DeadlineExceeded(_LATE) from error


def _channels_last(values: Array, axis: int | None) -> Array:
    """(rows, *shape) as float32 (rows, height, width, channels)."""
    last = values[..., np.newaxis] if axis is None else np.moveaxis(values, 1 + axis, -1)
    return last.astype(np.float32, copy=False)


def _together(indices: range, version: Version) -> Array:
    """Some versions, stacked one by one: to have all in memory before takes three times as long."""
    first = version(indices[0])
    versions = np.empty((len(indices), *first.shape), first.dtype)
    versions[0] = first
    for row, index in enumerate(indices[1:], 1):
        versions[row] = version(index)
    return versions


def _as_input(versions: Array, axis: int | None, dtype: np.dtype[Any]) -> Array:
    """(rows, height, width, channels) as the model takes them."""
    arranged = versions[..., 0] if axis is None else np.moveaxis(versions, -1, 1 + axis)
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        arranged = np.rint(arranged).clip(bounds.min, bounds.max)
    return np.ascontiguousarray(arranged, dtype)
