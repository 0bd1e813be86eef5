"""Cuts as jobs: versions of one image that edits make of known values, of which only what lies behind those is run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from layerscope.execution.batches import Array, Batch, PartBatch, PartJob
from layerscope.graph.runtime.runner import Runner
from layerscope.graph.taps.tap import Tap


@dataclass(frozen=True, eq=False, kw_only=True)
class CutJob(PartJob):
    """Values of `taps` for some versions, see `Executable.run_between`.

    Attributes:
        sources: the values that are known.
    """

    sources: Mapping[Tap, Array]

    def alone(self) -> Batch:
        """A batch of this job only."""
        return CutBatch(self)


class CutBatch(PartBatch):
    """A batch of one such job."""

    def __init__(self, job: CutJob) -> None:
        super().__init__(job)
        self._sources = job.sources

    @property
    def is_ready(self) -> bool:
        """Whether its plan is compiled."""
        return self.executable.plans.is_part_ready(self._sources, self.taps, self.edits)

    def compile(self) -> None:
        """Compile its plan."""
        self.executable.plans.compile_part(self._sources, self.taps, self.edits)

    def compute(self, inputs: Sequence[Array], runner: Runner) -> list[Array]:
        """The values for some versions."""
        (numbers,) = inputs
        return runner.run_between(self._sources, self.taps, self.edits, rows=len(numbers))
