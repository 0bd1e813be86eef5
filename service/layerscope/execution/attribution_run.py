"""One attribution of a query: from rows to heat maps, of which only those are computed that are not in the cache."""

import time
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from layerscope.attribution.targets import Target
from layerscope.execution.attribution_spec import (
    Array,
    AttributionSpec,
    cache_name,
    require_few_runs,
    require_one_row,
    resolve_targets,
)
from layerscope.execution.batched_probe import BatchedProbe
from layerscope.execution.interface import Attribution, Progress
from layerscope.execution.job_stream import MAX_PENDING, RunBudget
from layerscope.execution.lanes import Lane, total_seconds
from layerscope.execution.query_run import QueryRun
from layerscope.graph.model import LoadedModel
from layerscope.graph.prepared.devices import has_gpu
from layerscope.graph.taps.tap import Shape
from layerscope.limits import MIB, Limits
from layerscope.tensors.activations import Activations
from layerscope.tensors.spec import AxisOfBatch, TensorSpec

_PROCESSOR_CACHE_BYTES = 8 * MIB
"""Without a GPU, the values of versions that run together must fit into the caches of a processor.

Versions that do not fit evict each other's values, and then a batch takes longer than its versions take one by one.
"""

_MIN_BATCH_ROWS = 4
"""The versions that run together even if they do not fit into these caches.

Each run of a plan reads the weights once. Four versions share that: a fifth less work than one by one.
"""


class AttributionRun:
    """One attribution of a query.

    Args:
        model: the model that runs.
        spec: what is attributed.
        query: the rows, and at least the values of `spec.taps` for them.
        timeout: the seconds within which it must be done.
        limits: the bounds in force.
    """

    def __init__(
        self,
        model: LoadedModel,
        spec: AttributionSpec,
        query: QueryRun,
        timeout: float,
        limits: Limits,
    ) -> None:
        self._model = model
        self._spec = spec
        self._query = query
        self._limits = limits
        self._deadline = time.monotonic() + timeout

    def require_few_runs(self) -> None:
        """Check that the maps take no more runs than one attribution may.

        Raises:
            TooMany: they do.
        """
        _ = self._runs

    def maps(self) -> TensorSpec:
        """The shape and dtype of the maps, (images, *places)."""
        shape = (self._query.count, *self._shape[:-1])
        return TensorSpec(self._spec.target_layer.address, shape, np.dtype(np.float32), None, self._axes)

    def building_bytes(self) -> int:
        """The bytes of memory that making the maps takes, besides themselves and the values that they are made from.

        As many batches of versions exist at once as may wait or run.
        """
        return MAX_PENDING * self._batch_rows * self._row_bytes

    def seconds(self) -> float | None:
        """An estimate of the time that making the maps takes if none is in the cache; None where only a run can tell."""
        return total_seconds((self._query.count * self._runs, self._run_seconds))

    def attribution(self, found: Activations, lane: Lane, progress: Progress | None) -> Attribution:
        """Compute the maps that are not in the cache.

        Args:
            found: at least the values of `spec.taps`.
            lane: where runs are made, and for whom.
            progress: is called with the number of runs that are done, and with their total.

        Raises:
            DeadlineExceeded: the time is up, or the work was cancelled.
            OptionInvalid: the target or the target layer has no separate values for each image.
        """
        spec = self._spec
        if spec.is_over_layer:
            require_one_row(found[spec.target_layer.address].values, spec.target_layer)
        targets = resolve_targets(spec, found)
        edited = self._query.edits.name(spec.taps)
        maps, hit = self._query.derived(
            spec.taps,
            [cache_name(spec, target) + edited for target in targets or [None] * self._query.count],
            lambda rows: self._compute(found, rows, targets, lane, progress),
            self.seconds_left,
        )
        return Attribution(
            model=self._model.description,
            method=spec.method,
            options=spec.options,
            target_layer=spec.target_layer,
            targets=targets,
            maps=np.stack(maps),
            axes=self._axes,
            images=found.images,
            edits=found.edits,
            seed=found.seed,
            timings=found.timings,
            hit=hit and found.hit,
            tokens=found.tokens,
        )

    def seconds_left(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self._deadline - time.monotonic())

    def _compute(
        self,
        found: Activations,
        rows: Sequence[int],
        targets: Sequence[Target],
        lane: Lane,
        progress: Progress | None,
    ) -> list[Array]:
        """The maps of some rows."""
        budget = RunBudget(
            batch_rows=self._batch_rows,
            deadline=self._deadline,
            lane=lane,
            total=self._runs * len(rows),
            progress=progress,
        )
        own = [targets[row] for row in rows] if targets else []
        probe = BatchedProbe(self._model, self._spec, self._query, found, rows, own, budget)
        # Values that are not finite, as of a model with NaN among its weights, make maps that are not.
        with self._query.stopwatch.timed("run"), np.errstate(all="ignore"):
            maps = self._spec.method.explain(probe, self._spec.options)
        probe.finish()
        return [np.array(each, np.float32) for each in maps]

    @cached_property
    def _sizes(self) -> list[Shape]:
        return self._query.sizes()

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        """The sizes of the places, and the channels, of the target layer or input."""
        spec = self._spec
        shape: Shape = self._sizes[spec.input]
        if spec.is_over_layer:
            (shape,) = self._model.executable.inspection.shapes([spec.target_layer], self._sizes)
        sizes = [size or 1 for size in shape[-len(spec.target_layer.shape) :]]
        return spec.geometry.folded_shape(sizes)

    @property
    def _axes(self) -> tuple[AxisOfBatch, ...]:
        """What the axes of the maps of a batch count."""
        return ("batch", *self._spec.geometry.places)

    @cached_property
    def _runs(self) -> int:
        return require_few_runs(self._spec, self._shape, self._query.count, self._limits)

    @cached_property
    def _row_bytes(self) -> int:
        """The memory that running one version takes, with the backward pass if the method takes gradients."""
        spec, inspection = self._spec, self._model.executable.inspection
        if spec.output is None:
            return 0
        if spec.method.is_gradient:
            return inspection.backward_bytes(spec.output.tap, self._sizes)
        return inspection.peak_bytes([spec.output.tap, spec.output.score_tap], self._sizes)

    @cached_property
    def _run_seconds(self) -> float | None:
        """An estimate of the time of running one version, with the backward pass if the method takes gradients."""
        spec, inspection = self._spec, self._model.executable.inspection
        if spec.output is None:
            return 0.0
        if spec.method.is_gradient:
            return inspection.gradient_seconds(spec.output.score_tap, self._sizes)
        return inspection.run_seconds([spec.output.tap, spec.output.score_tap], self._sizes)

    @cached_property
    def _batch_rows(self) -> int:
        """How many versions run together."""
        fitting = self._limits.batch_bytes // max(1, self._row_bytes)
        if not has_gpu():
            in_caches = _PROCESSOR_CACHE_BYTES // max(1, self._row_bytes)
            fitting = min(fitting, max(_MIN_BATCH_ROWS, in_caches))
        return max(1, min(self._limits.batch_rows, fitting))
