"""Local changes as jobs: versions of an image in which a box is covered, of which only the changed part is run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from layerscope.execution.batches import Array, Batch, Job
from layerscope.graph.local import LocalChanges
from layerscope.graph.runtime.runner import Runner
from layerscope.graph.taps.tap import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class LocalChangeJob(Job):
    """Values of the only one of `taps` for some versions, see `LocalChanges.run`. `inputs` has the versions' numbers.

    Attributes:
        changes: the versions.
        image_shapes: the shapes of the model's inputs for the whole image.
    """

    changes: LocalChanges
    image_shapes: Sequence[Shape]

    def alone(self) -> Batch:
        """A batch of this job only."""
        return LocalChangeBatch(self)


class LocalChangeBatch(Batch):
    """A batch of one job: no other request has the same versions."""

    def __init__(self, job: LocalChangeJob) -> None:
        super().__init__([job])
        self._changes = job.changes
        self._image_shapes = job.image_shapes

    @cached_property
    def input_shapes(self) -> list[Shape]:
        """The shapes of the model's inputs, of which only a part runs: estimates are of the most that a version can take."""
        return list(self._image_shapes)

    @property
    def is_ready(self) -> bool:
        """Whether the plans that it needs are compiled."""
        return self._changes.is_ready

    def compile(self) -> None:
        """Compile the plans that it needs."""
        self._changes.compile()

    def compute(self, inputs: Sequence[Array], runner: Runner) -> list[Array]:
        """The values for some versions."""
        (numbers,) = inputs
        return [self._changes.run(numbers.tolist(), self.taps[0], runner)]
