"""Versions of an image with a covered box each, as jobs: only what the box changes is run."""

from collections.abc import Sequence
from dataclasses import dataclass

from layerscope.execution.batches import Array, Batch, Job
from layerscope.graph.local import LocalChanges


@dataclass(frozen=True, eq=False, kw_only=True)
class ChangesJob(Job):
    """Versions of which the only one of `taps` is wanted, see `LocalChanges.run`. `inputs` has their numbers."""

    changes: LocalChanges

    def alone(self) -> Batch:
        """A batch of this job only."""
        return ChangesBatch(self)


class ChangesBatch(Batch):
    """One job: nobody else has its versions."""

    def __init__(self, job: ChangesJob) -> None:
        super().__init__([job])
        self._changes = job.changes

    @property
    def is_ready(self) -> bool:
        """Whether there are plans to run it."""
        return self._changes.is_ready

    def compile(self) -> None:
        """Have plans to run it."""
        self._changes.compile()

    def compute(self, inputs: Sequence[Array]) -> list[Array]:
        """The target for some versions."""
        (numbers,) = inputs
        return [self._changes.run(numbers.tolist(), self.taps[0])]
