"""The jobs of a comparison: its images in one of its models, the candidate's under its edits."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from layerscope.execution.batches import Job
from layerscope.execution.comparison_plan import ComparisonPlan
from layerscope.execution.inputs import Row, stack
from layerscope.execution.job_stream import JobStream, of_one_request
from layerscope.execution.lanes import Lane
from layerscope.graph.edits import Edit
from layerscope.graph.model import LoadedModel
from layerscope.graph.taps.tap import Tap
from layerscope.limits import Limits
from layerscope.tensors.activations import Activation, Activations
from layerscope.tensors.timing import Stopwatch

Array = np.ndarray[Any, np.dtype[Any]]


class ComparisonJobs:
    """Makes the jobs. Their images have names of their own: nothing is joined with them, and they always run by the same plan.

    Args:
        plan: what is compared.
        limits: the bounds in force.
        deadline: when the values are of no use any more, on the clock of `time.monotonic`.
        lane: where they run, and for whom.
        stream: runs what edits are made of.
        stopwatch: of the comparison.
    """

    def __init__(
        self,
        plan: ComparisonPlan,
        limits: Limits,
        deadline: float,
        lane: Lane,
        stream: JobStream,
        stopwatch: Stopwatch,
    ) -> None:
        self._plan = plan
        self._limits = limits
        self._deadline = deadline
        self._lane = lane
        self._stream = stream
        self._stopwatch = stopwatch
        self._patches: dict[str, Activations] | None = None

    def load(self, row: Row) -> list[Array]:
        """The tensors of an image, one for each input."""
        with self._stopwatch.timed("decode"):
            return [item.load(self._limits) for item in row]

    def image(self, model: LoadedModel, side: int, number: int) -> Job:
        """One image in the reference, 0, or in the candidate, 1."""
        row = self._plan.rows[side][number]
        loaded = self.load(row)
        edits = self._edits(model, loaded) if side else self._neutral
        return self._job(model, [loaded], self._plan.fetched[side], edits)

    def together(self, numbers: Sequence[int]) -> Job:
        """Some images in the reference, in one batch. A single one is put beside zeros."""
        loaded = [self.load(self._plan.rows[0][number]) for number in numbers]
        if len(loaded) == 1:
            loaded.append([np.zeros_like(array) for array in loaded[0]])
        return self._job(self._plan.models[0], loaded, self._plan.fetched[0], self._neutral)

    @property
    def _neutral(self) -> Mapping[Tap, Edit]:
        return {} if self._plan.edits is None else self._plan.edits.neutral

    def _edits(self, model: LoadedModel, loaded: list[Array]) -> Mapping[Tap, Edit]:
        """The edits of the candidate for one image."""
        edits = self._plan.edits
        if edits is None:
            return {}
        if self._patches is None:
            self._patches = {
                image: self._unedited(model, edits.query.patches[image], self.load(row))
                for image, row in edits.patches.items()
            }
        own_taps = edits.query.own_taps
        own = self._unedited(model, own_taps, loaded) if own_taps else None
        sizes = [array.shape for array in loaded]
        return edits.query.arrays(self._plan.fetched[1], sizes, [0], own, self._patches)

    def _unedited(self, model: LoadedModel, taps: Sequence[Tap], loaded: list[Array]) -> Activations:
        """Values of an image in the candidate as it is, of which edits are made."""
        outcome = self._stream.run(self._job(model, [loaded], taps, {}))
        by_tap = zip(taps, outcome.arrays, strict=True)
        return Activations({tap.address: Activation.of(tap, array) for tap, array in by_tap}, ())

    def _job(
        self,
        model: LoadedModel,
        loaded: Sequence[list[Array]],
        taps: Sequence[Tap],
        edits: Mapping[Tap, Edit],
    ) -> Job:
        """A run of images."""
        seed = self._plan.query.seed
        return Job(
            **of_one_request(model.executable, len(loaded), seed, self._deadline, self._lane),
            inputs=stack(loaded),
            taps=tuple(taps),
            edits=edits,
        )
