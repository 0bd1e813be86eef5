"""Cuts as jobs: versions of one image that edits make of known values, of which only what lies behind those is run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from layerscope.execution.batches import Array, Batch, Job
from layerscope.graph.runtime.runner import Runner
from layerscope.graph.taps.tap import Shape, Tap


@dataclass(frozen=True, eq=False, kw_only=True)
class CutJob(Job):
    """Values of `taps` for some versions, see `Executable.run_between`. `inputs` has the versions' numbers.

    Attributes:
        sources: the values that are known.
        image_shapes: the shapes of the model's inputs.
    """

    sources: Mapping[Tap, Array]
    image_shapes: Sequence[Shape]

    def alone(self) -> Batch:
        """A batch of this job only."""
        return CutBatch(self)


class CutBatch(Batch):
    """A batch of one job: no other request has the same versions."""

    def __init__(self, job: CutJob) -> None:
        super().__init__([job])
        self._sources = job.sources
        self._image_shapes = job.image_shapes

    @cached_property
    def input_shapes(self) -> list[Shape]:
        """The shapes of the model's inputs: estimates are those of a run of the whole model."""
        return list(self._image_shapes)

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
