"""One attribution on its way: from rows to maps, of which only those are computed that nobody has computed yet."""

import time
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from layerscope.attribution.target_layers import input_channel_axis
from layerscope.attribution.targets import Target
from layerscope.execution.attribution_spec import (
    Array,
    Question,
    cache_name,
    found_targets,
    require_few_runs,
    require_one_row,
)
from layerscope.execution.batches import deadline_told
from layerscope.execution.cache import ActivationCache
from layerscope.execution.cancellation import CancellationToken
from layerscope.execution.interface import Attribution, Progress
from layerscope.execution.query_run import Key, QueryRun
from layerscope.execution.scheduler import Scheduler
from layerscope.execution.versions import MOST_AHEAD, ImageVersions, Terms
from layerscope.graph.model import LoadedModel
from layerscope.graph.prepared.devices import has_gpu
from layerscope.graph.taps.tap import Shape
from layerscope.limits import MIB, Limits
from layerscope.tensors.activations import Activations
from layerscope.tensors.spec import TensorSpec

_CACHED_BYTES = 8 * MIB
"""Without a GPU, versions that run together must have room in the caches of a processor, or they hold each other up."""

_FEW = 4
"""But a few always run together, and share the way of the weights into the caches: a fifth less work than one by one."""


class AttributionRun:
    """One attribution on its way.

    Args:
        model: what runs.
        question: what is asked.
        query: the rows, and all that is fetched of them: at least `question.taps`.
        timeout: the seconds within which it must be done.
        limits: the bounds in force.
        cache: where maps are kept.
        scheduler: where everything is run.
    """

    def __init__(
        self,
        model: LoadedModel,
        question: Question,
        query: QueryRun,
        timeout: float,
        limits: Limits,
        cache: ActivationCache[Key],
        scheduler: Scheduler,
    ) -> None:
        self._model = model
        self._question = question
        self._query = query
        self._limits = limits
        self._cache = cache
        self._scheduler = scheduler
        self._deadline = time.monotonic() + timeout

    def require_few_runs(self) -> None:
        """Check that the maps take no more runs than one attribution may.

        Raises:
            TooMany: they do.
        """
        _ = self._runs

    def maps(self) -> TensorSpec:
        """What the maps will be."""
        shape = (self._query.count, *self._shape[:2])
        return TensorSpec(self._question.place.address, shape, np.dtype(np.float32), None)

    def building_bytes(self) -> int:
        """The bytes of memory that making the maps takes, besides the values they are made of and themselves."""
        return MOST_AHEAD * self._batch_rows * self._row_bytes

    def attribution(
        self, found: Activations, cancellation: CancellationToken, progress: Progress | None
    ) -> Attribution:
        """Compute it from what `query` found.

        Args:
            found: the values of at least `question.taps`.
            cancellation: ends the work early when it is cancelled.
            progress: is called with the number of runs that are done, and with their total.
        """
        question = self._question
        if question.method.place == "layer":
            require_one_row(found[question.place.address].values, question.place)
        targets = found_targets(question, found)
        digest = self._model.description.digest
        names = [cache_name(question, target) for target in targets or [None] * self._query.count]
        keys = [(digest, row, name) for row, name in zip(self._query.names, names, strict=True)]
        places = {key: number for number, key in enumerate(keys)}
        with deadline_told():
            maps, hit = self._cache.get_or_compute(
                keys,
                lambda lacking: self._maps(
                    found, [places[key] for key in lacking], targets, cancellation, progress
                ),
                self.seconds_left,
            )
        return Attribution(
            model=self._model.description,
            method=question.method,
            options=question.options,
            place=question.place,
            targets=targets,
            maps=np.stack([maps[key] for key in keys]),
            images=found.images,
            timings=found.timings,
            hit=hit and found.hit,
        )

    def seconds_left(self) -> float:
        """Until the deadline."""
        return max(0.0, self._deadline - time.monotonic())

    def _maps(
        self,
        found: Activations,
        rows: Sequence[int],
        targets: Sequence[Target],
        cancellation: CancellationToken,
        progress: Progress | None,
    ) -> list[Array]:
        terms = Terms(
            batch_rows=self._batch_rows,
            deadline=self._deadline,
            cancellation=cancellation,
            total=self._runs * len(rows),
            progress=progress,
        )
        own = [targets[row] for row in rows] if targets else []
        probe = ImageVersions(
            self._model, self._question, self._query, found, rows, own, self._scheduler, terms
        )
        # Values that are not finite, as of a model with NaN among its weights, make maps that are not.
        with self._query.stopwatch.timed("run"), np.errstate(all="ignore"):
            maps = self._question.method.explain(probe, self._question.options)
        return [np.array(each, np.float32) for each in maps]

    @cached_property
    def _sizes(self) -> list[Shape]:
        return self._query.sizes()

    @cached_property
    def _shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the place."""
        question = self._question
        if question.method.place == "input":
            shape, axis = (
                self._sizes[question.input],
                input_channel_axis(self._model.description, question.input),
            )
        else:
            (shape,) = self._model.executable.inspection.shapes([question.place], self._sizes)
            axis = question.place.channel_axis
        sizes = [size or 1 for size in shape]
        channels = 1 if axis is None else sizes.pop(axis)
        return sizes[-2], sizes[-1], channels

    @cached_property
    def _runs(self) -> int:
        return require_few_runs(self._question, self._shape, self._query.count, self._limits)

    @cached_property
    def _row_bytes(self) -> int:
        """What running one version takes, and its way back if the method goes it."""
        question, executable = self._question, self._model.executable
        if question.output is None:
            return 0
        if question.method.is_gradient:
            return executable.inspection.backward_bytes(question.output.tap, self._sizes)
        return executable.inspection.peak_bytes([question.output.tap, question.output.measured], self._sizes)

    @cached_property
    def _batch_rows(self) -> int:
        """How many versions are run together."""
        fitting = self._limits.batch_bytes // max(1, self._row_bytes)
        if not has_gpu():
            fitting = min(fitting, max(_FEW, _CACHED_BYTES // max(1, self._row_bytes)))
        return max(1, min(self._limits.batch_rows, fitting))
