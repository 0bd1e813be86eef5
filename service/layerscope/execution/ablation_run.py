"""One sweep of a query: one unit of a layer after the other is replaced, and what that does to the output is measured.

Every batch has the image without a change as its first row, and an effect is the difference between rows of one batch. Between
batches of other sizes or by other plans, the same values differ in their last bits, and a dead channel would have an effect.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from layerscope.attribution.targets import Target, targets_of
from layerscope.errors import InputMismatch
from layerscope.execution.ablation_effects import (
    CLASS,
    COLUMNS,
    NO_CLASS,
    NOT_RUN,
    STATE,
    UNCHANGED,
    classes_of,
    effects_of,
    no_effect,
    nothing_known,
)
from layerscope.execution.ablation_jobs import AblationJobs, SweptImage
from layerscope.execution.ablation_query import (
    METRICS,
    Ablation,
    AblationPlan,
    Ablations,
    Partial,
    PartialAblation,
)
from layerscope.execution.ablation_spec import AblationSpec, require_few_units
from layerscope.execution.batches import Job
from layerscope.execution.effect import recovery
from layerscope.execution.job_stream import MAX_PENDING, JobStream, RunBudget
from layerscope.execution.lanes import Lane, total_seconds
from layerscope.execution.progress import Progress
from layerscope.execution.query_run import QueryRun
from layerscope.graph.model import LoadedModel
from layerscope.graph.taps.tap import Shape, Tap
from layerscope.interventions import MEAN, Units, channel_means
from layerscope.limits import Limits
from layerscope.tensors.activations import Activations

Array = np.ndarray[Any, np.dtype[Any]]

_BATCH_ROWS = 8
"""The rows of a batch, the image without a change among them. 16 take up to half as long again for each row."""


class AblationRun:
    """One sweep of a query.

    Args:
        model: the model that runs.
        spec: what is swept.
        query: the images, and at least the values of `spec.taps` for them.
        patch: the image whose values are put in place, with those of `spec.layers` and `spec.measured`; None without one.
        timeout: the seconds within which it must be done.
        limits: the bounds in force.

    Raises:
        OptionInvalid: a layer has no such units.
        TooMany: the sweep takes too many runs.
    """

    def __init__(
        self,
        model: LoadedModel,
        spec: AblationSpec,
        query: QueryRun,
        patch: QueryRun | None,
        timeout: float,
        limits: Limits,
    ) -> None:
        self._model = model
        self._spec = spec
        self._query = query
        self._patch = patch
        self._limits = limits
        self._deadline = time.monotonic() + timeout
        require_few_units(self._count, query.count, limits)

    @cached_property
    def plan(self) -> AblationPlan:
        """The layers and units of the sweep."""
        if self._spec.options.by == "layer":
            return AblationPlan(self._spec.layers, (len(self._spec.layers),), ())
        (units,) = self._units
        return AblationPlan(self._spec.layers, units.shape, tuple(units.regions))

    def building_bytes(self) -> int:
        """The bytes of memory that the sweep takes, besides the values of `spec.taps`.

        As many batches of versions exist at once as may wait or run. In each, what is put in place of values is there once for
        each row if it comes from another image, and twice for a moment.
        """
        spec, inspection = self._spec, self._model.executable.inspection
        own = inspection.value_bytes(spec.layers, self._sizes)
        edits = 0 if self._patch is None else 4 * own
        batches = MAX_PENDING * self._batch_rows * (self._row_bytes + edits)
        is_screened = spec.options.screen is not None
        screening = inspection.backward_bytes(spec.output.score_tap, self._sizes) if is_screened else 0
        # The values of a layer are compared and summed in float64.
        kept = 8 * COLUMNS * self._count * self._query.count
        return 5 * own + 2 * kept + max(screening, batches)

    def seconds(self) -> float | None:
        """An estimate of the time that the sweep takes if nothing is in the cache; None where only a run can tell."""
        spec, inspection, screened = self._spec, self._model.executable.inspection, self._spec.options.screen
        units = self._count if screened is None else min(self._count, screened)
        gradients = 0 if screened is None else self._query.count
        return total_seconds(
            (units * self._query.count, inspection.run_seconds(spec.measured, self._sizes)),
            (gradients, inspection.gradient_seconds(spec.output.score_tap, self._sizes)),
            (1, self._patch.seconds() if self._patch is not None else 0.0),
        )

    def ablations(
        self,
        found: Activations,
        lane: Lane,
        progress: Progress | None,
        partial: Partial | None,
    ) -> Ablations:
        """Run what is not in the cache.

        Args:
            found: at least the values of `spec.taps`.
            lane: where versions are run, and for whom.
            progress: is called with the number of versions that were run, and with their total.
            partial: is called after each batch with what is known of its image.

        Raises:
            DeadlineExceeded: the time is up, or the work was cancelled.
            OptionInvalid: there is no such target.
            InputMismatch: the image that is put in place has another size.
        """
        spec = self._spec
        targets = targets_of(spec.output, spec.options.target, found[spec.output.tap.address].values)
        arrays, hit = self._query.derived(
            spec.taps,
            [self._cache_name(target) for target in targets],
            lambda rows: self._compute(found, {row: targets[row] for row in rows}, lane, progress, partial),
            self._seconds_left,
        )
        source = None if self._patch is None else self._patch.activations(lane)
        images = [
            self._ablation(found, number, target, columns, source)
            for number, (target, columns) in enumerate(zip(targets, arrays, strict=True))
        ]
        return Ablations(options=spec.options, plan=self.plan, images=tuple(images), hit=hit and found.hit)

    def _compute(
        self,
        found: Activations,
        targets: dict[int, Target],
        lane: Lane,
        progress: Progress | None,
        partial: Partial | None,
    ) -> list[Array]:
        """What is kept of the sweeps of some images, by their number: (units, columns)."""
        jobs = AblationJobs(self._model, self._spec, self._query, found, self._units, self._deadline, lane)
        budget = RunBudget(
            batch_rows=self._batch_rows - 1,
            deadline=self._deadline,
            lane=lane,
            total=self._count * len(targets),
            progress=progress,
        )
        stream = JobStream(budget)
        kept = []
        with self._query.stopwatch.timed("run"), np.errstate(all="ignore"):
            for number, target in targets.items():
                image, columns = self._begun(found, number, target, jobs, stream, lane)
                for places, outcome in self._outcomes(image, jobs, stream):
                    arrays = dict(zip(self._spec.measured, outcome, strict=True))
                    columns[[image.units[place] for place in places]] = effects_of(target, arrays)
                    if partial is not None:
                        partial(PartialAblation(number, columns[:, 0].reshape(self.plan.shape).copy()))
                kept.append(columns)
        return kept

    def _begun(
        self,
        found: Activations,
        number: int,
        target: Target,
        jobs: AblationJobs,
        stream: JobStream,
        lane: Lane,
    ) -> tuple[SweptImage, Array]:
        """An image with the units that are run for it, and what is known of all its units before that."""
        spec = self._spec
        replacements = [self._replacement(found, number, tap, lane) for tap in spec.layers]
        image = SweptImage(number, target, replacements, range(self._count))
        columns = nothing_known(self._count)
        if spec.options.by == "layer":
            return image, columns
        (replacement,), (units,) = replacements, self._units
        values = found[spec.layers[0].address].values[number]
        others = replacement if isinstance(replacement, float) else replacement[0].astype(values.dtype)
        unchanged = units.equal(values, others)
        columns[unchanged] = no_effect(
            target, self._score(found, number, target), self._class(found, number, target)
        )
        changed = np.flatnonzero(~unchanged)
        if spec.options.screen is not None and len(changed) > spec.options.screen:
            gradient = stream.run(jobs.gradient(image)).arrays[0][0]
            estimates = np.abs(units.sums((values - others) * gradient)[changed])
            best = np.argsort(-np.nan_to_num(estimates, nan=np.inf), kind="stable")
            changed = np.sort(changed[best[: spec.options.screen]])
        return SweptImage(number, target, replacements, changed.tolist()), columns

    def _replacement(self, found: Activations, number: int, tap: Tap, lane: Lane) -> Array | float:
        """What is put in place of the values of a layer for one image."""
        if self._patch is not None:
            values = self._patch.activations(lane)[tap.address].values
            size = self._units[self._spec.layers.index(tap)].size
            if values.shape[1:] != size:
                raise InputMismatch(
                    f"At {tap.address}, the image whose values are put in place has shape {list(values.shape[1:])}, not"
                    f" {list(size)}: name an image of the same size.",
                    layer=tap.address,
                )
            return values
        if self._spec.options.set == MEAN:
            return channel_means(tap, found[tap.address].values[number : number + 1])
        return float(self._spec.options.set)

    def _outcomes(
        self, image: SweptImage, jobs: AblationJobs, stream: JobStream
    ) -> Iterator[tuple[range, Sequence[Array]]]:
        """The values of `spec.measured` for the versions of an image, batch by batch, with the places of their units."""
        if self._spec.frontier is not None:
            try:
                yield from self._batches(image, jobs.behind, stream)
            except InputMismatch:
                # What lies behind the layer needs more of the model than its values: that shows when it is compiled.
                pass
            else:
                return
        yield from self._batches(image, jobs.whole, stream)

    def _batches(
        self, image: SweptImage, make: Callable[[SweptImage, range], Job], stream: JobStream
    ) -> Iterator[tuple[range, Sequence[Array]]]:
        size, count = self._batch_rows - 1, len(image.units)
        outcomes = stream.outcomes(count, lambda places: make(image, places))
        starts = range(0, count, size)
        for start, outcome in zip(starts, outcomes, strict=True):
            yield range(start, min(start + size, count)), outcome.arrays

    def _ablation(
        self, found: Activations, number: int, target: Target, columns: Array, source: Activations | None
    ) -> Ablation:
        class_, score = self._class(found, number, target), self._score(found, number, target)
        states, classes = columns[:, STATE], columns[:, CLASS]
        return Ablation(
            target=target,
            score=score,
            class_=None if class_ == NO_CLASS else class_,
            effects={metric: columns[:, column] for column, metric in enumerate(METRICS)},
            classes=np.where(states == NOT_RUN, NO_CLASS, classes).astype(np.int64),
            unchanged=tuple(np.flatnonzero(states == UNCHANGED).tolist()),
            is_complete=bool((states != NOT_RUN).all()),
            recoveries=None
            if source is None
            else np.asarray(recovery(columns[:, 0], score, self._score(source, 0, target))),
        )

    def _seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def _score(self, found: Activations, number: int, target: Target) -> float:
        values = found[target.output.score_tap.address].values
        return float(target.scores(values[number : number + 1])[0])

    def _class(self, found: Activations, number: int, target: Target) -> int:
        return int(classes_of(target, found[target.output.tap.address].values[number : number + 1])[0])

    def _cache_name(self, target: Target) -> str:
        """A text that names everything that the effects depend on, besides the model and the image."""
        options = self._spec.options
        replacement = f"patch {options.patch}" if options.patch is not None else f"set {options.set}"
        layers = " ".join(tap.address for tap in self._spec.layers)
        edited = self._query.edits.name(self._spec.measured)
        return f"ablation {layers} by {options.by} {options.grid} {replacement} screen {options.screen} {target.key}{edited}"

    @cached_property
    def _sizes(self) -> list[Shape]:
        return self._query.sizes()

    @cached_property
    def _units(self) -> list[Units]:
        options, layers = self._spec.options, self._spec.layers
        shapes = self._model.executable.inspection.shapes(layers, self._sizes)
        return [
            Units(tap, options.by, shape, options.grid) for tap, shape in zip(layers, shapes, strict=True)
        ]

    @cached_property
    def _count(self) -> int:
        """The number of units."""
        return sum(units.count for units in self._units)

    @cached_property
    def _row_bytes(self) -> int:
        """The memory that running one version takes, at most."""
        return self._model.executable.inspection.peak_bytes(self._spec.measured, self._sizes)

    @cached_property
    def _batch_rows(self) -> int:
        fitting = self._limits.batch_bytes // max(1, self._row_bytes)
        return max(2, min(_BATCH_ROWS, fitting))
