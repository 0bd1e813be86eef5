"""Local changes as jobs: versions of an image in which a box is covered, of which only the changed part is run."""

from collections.abc import Sequence
from dataclasses import dataclass

from layerscope.execution.batches import Array, Batch, PartBatch, PartJob
from layerscope.graph.local import LocalChanges
from layerscope.graph.runtime.runner import Runner


@dataclass(frozen=True, eq=False, kw_only=True)
class LocalChangeJob(PartJob):
    """Values of the only one of `taps` for some versions, see `LocalChanges.run`.

    Attributes:
        changes: the versions.
    """

    changes: LocalChanges

    def alone(self) -> Batch:
        """A batch of this job only."""
        return LocalChangeBatch(self)


class LocalChangeBatch(PartBatch):
    """A batch of one such job."""

    def __init__(self, job: LocalChangeJob) -> None:
        super().__init__(job)
        self._changes = job.changes

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
