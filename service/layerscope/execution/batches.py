"""Jobs, and the batches of jobs that the scheduler runs at once."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from layerscope.errors import DeadlineExceeded
from layerscope.execution.cancellation import CancellationToken
from layerscope.graph.edits import Edit
from layerscope.graph.remote.remote_executable import RemoteExecutable
from layerscope.graph.remote.run_process import RunBounds, RunProcess
from layerscope.graph.runtime.executable import Executable
from layerscope.graph.runtime.runner import Runner
from layerscope.graph.taps.tap import Shape, Tap

Array = np.ndarray[Any, np.dtype[Any]]

OnRun = Callable[[Executable, int, float], None]
"""Is called after a run with the executable, the number of rows, and the seconds that the run took."""

_LATE = "The request waited longer than it may: try again, or ask for less."


def ignore_run(_executable: Executable, _rows: int, _seconds: float) -> None:
    """Do nothing after a run."""


@contextmanager
def timeout_as_deadline() -> Iterator[None]:
    """Turn a timeout while the context waits for something into the error of a request whose time is up.

    Raises:
        DeadlineExceeded: something in the context raised TimeoutError.
    """
    try:
        yield
    except TimeoutError as error:
        raise DeadlineExceeded(_LATE) from error


Moment = tuple[str, float, float]
"""A stage, when it began on the clock of `time.monotonic`, and how many seconds it took."""


@dataclass(frozen=True)
class Outcome:
    """The result of a job.

    Attributes:
        arrays: one array a tap, (rows, *tap shape), of the job's own.
        moments: when the job waited in the queue, and when it ran.
    """

    arrays: list[Array]
    moments: tuple[Moment, Moment]


@dataclass(frozen=True, eq=False, kw_only=True)
class Job:
    """Rows to run, and the taps to fetch for them.

    Attributes:
        executable: the model's executable.
        inputs: one array for each input of the model, (rows, *input shape).
        keys: a name of each row's content: rows with the same name are equal, and run once.
        taps: the taps to fetch for all rows.
        deadline: when the result is of no use any more, on the clock of `time.monotonic`.
        cancellation: whether the caller still needs the result.
        owner: the key that it is for; None for a caller without one.
        edits: changes of values inside the model, by tap, each with one row or a row for each of the job's. Such a job is
            never joined with other jobs.
        seed: of the random numbers, if the model samples.
        is_exact: whether each row runs by itself, unless the executable is not exact. Any other job is never joined with
            jobs of other rows, so that its values do not depend on what else is running.
        future: gets the result.
        submitted: when the job was made, on the clock of `time.monotonic`.
    """

    executable: Executable
    inputs: Sequence[Array]
    keys: Sequence[str]
    taps: tuple[Tap, ...]
    deadline: float
    cancellation: CancellationToken = field(default_factory=CancellationToken)
    owner: str | None = None
    edits: Mapping[Tap, Edit] = field(default_factory=dict)
    seed: int = 0
    is_exact: bool = True
    future: "Future[Outcome]" = field(default_factory=Future)
    submitted: float = field(default_factory=time.monotonic)

    def alone(self) -> "Batch":
        """A batch of this job only."""
        return Batch([self])

    def begin(self) -> bool:
        """Mark the job as running, and return whether it is still needed. One that is not gets DeadlineExceeded."""
        if not self.future.set_running_or_notify_cancel():
            return False
        if not self.cancellation.is_cancelled and time.monotonic() <= self.deadline:
            return True
        self.future.set_exception(DeadlineExceeded(_LATE))
        return False


class Batch:
    """Jobs for one executable, with inputs of the same signature, that run together.

    Each different row runs once, for every tap that any of the jobs fetches.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.jobs = tuple(jobs)
        self.executable = self.jobs[0].executable
        self.taps = tuple(dict.fromkeys(tap for job in self.jobs for tap in job.taps))

    @cached_property
    def input_shapes(self) -> list[Shape]:
        """The shapes of the inputs, without batch axis."""
        return [array.shape[1:] for array in self.jobs[0].inputs]

    @cached_property
    def signature(self) -> list[object]:
        """What must be equal for two batches to be joined: the executable, the seed, and the shapes and dtypes of the inputs."""
        return [
            self.executable,
            self.seed,
            *((array.shape[1:], array.dtype.str) for array in self.jobs[0].inputs),
        ]

    @cached_property
    def keys(self) -> frozenset[str]:
        """The names of the rows, each once."""
        return frozenset(key for job in self.jobs for key in job.keys)

    @cached_property
    def work_per_row(self) -> int:
        """An estimate of the work of computing the taps for one row, see `Inspection.work`."""
        return self.executable.inspection.work(self.taps, self.input_shapes)

    @cached_property
    def run_seconds(self) -> float | None:
        """An estimate of the seconds that its run takes; None where only a run can tell, see `Inspection.cost`."""
        return self._of_all_rows(self.executable.inspection.run_seconds(self.taps, self.input_shapes))

    @cached_property
    def nbytes(self) -> int:
        """Bytes of the values of all taps and rows."""
        return len(self.keys) * self.executable.inspection.value_bytes(self.taps, self.input_shapes)

    @property
    def moved_bytes(self) -> int:
        """Bytes of its inputs and of its results, which another process would receive and send."""
        return self._input_bytes + self.nbytes

    @property
    def _input_bytes(self) -> int:
        return sum(array.nbytes for job in self.jobs for array in job.inputs)

    @cached_property
    def is_alone(self) -> bool:
        """Whether it must run without other batches.

        The images of an exact batch run one by one (see `graph.runtime.batch_invariance`), and joining would only make each
        job wait for the others. The values of a batch that need not be exact depend on which rows it has, so no other
        rows may join.
        """
        return not (self.is_exact and self.executable.batches(self.taps, self.input_shapes))

    @property
    def edits(self) -> Mapping[Tap, Edit]:
        """The edits of its only job, if it has any."""
        return self.jobs[0].edits

    @property
    def owner(self) -> str | None:
        """The key that its first job is for; None for a caller without one."""
        return self.jobs[0].owner

    @property
    def seed(self) -> int:
        """The seed of its jobs."""
        return self.jobs[0].seed

    @property
    def is_exact(self) -> bool:
        """Whether each row runs by itself, unless the executable is not exact."""
        return all(job.is_exact for job in self.jobs)

    @property
    def is_ready(self) -> bool:
        """Whether its plan is compiled."""
        return self.executable.plans.is_ready(self.taps, self.input_shapes, self.edits)

    def with_(self, other: "Batch") -> "Batch":
        """Both as one batch."""
        return type(self)((*self.jobs, *other.jobs))

    def compile(self) -> None:
        """Compile its plan."""
        self.executable.plans.compile(self.taps, self.edits)

    def compute(self, inputs: Sequence[Array], runner: Runner) -> list[Array]:
        """The values of all taps for some rows, one array a tap, by what runs the model."""
        return runner.run(inputs, self.taps, edits=self.edits, seed=self.seed, exact=self.is_exact)

    def _of_all_rows(self, seconds: float | None) -> float | None:
        return None if seconds is None else len(self.keys) * seconds

    def begin(self) -> list[Job]:
        """The jobs that are still needed."""
        return [job for job in self.jobs if job.begin()]

    def run(
        self, jobs: Sequence[Job], on_run: OnRun = ignore_run, run_process: RunProcess | None = None
    ) -> None:
        """Run some jobs of the batch, and set their results.

        Args:
            jobs: those that `begin` returned.
            on_run: is called after the run, before any result is set.
            run_process: where the model runs; left out, in this process.

        Raises:
            Exception: any error of the run. Jobs without a result then stay without one.
        """
        started = time.monotonic()
        inputs, lines = _stacked(jobs)
        # All taps of the batch, even if the only job that wanted one of them was cancelled: these taps have a plan.
        runner = self.executable if run_process is None else self._remote(jobs, run_process)
        arrays = self.compute(inputs, runner)
        values = dict(zip(self.taps, arrays, strict=True))
        ran = time.monotonic() - started
        on_run(self.executable, len(lines), ran)
        for job in jobs:
            own = [_own(values[tap], [lines[key] for key in job.keys], len(jobs)) for tap in job.taps]
            waited = "queue", job.submitted, started - job.submitted
            job.future.set_result(Outcome(own, (waited, ("run", started, ran))))

    def _remote(self, jobs: Sequence[Job], run_process: RunProcess) -> RemoteExecutable:
        """The executable in the run process, for a run that ends when no job needs it any more."""
        bounds = RunBounds(
            deadline=max(job.deadline for job in jobs),
            is_cancelled=lambda: all(job.cancellation.is_cancelled for job in jobs),
            estimate=self.run_seconds,
        )
        return RemoteExecutable(run_process, self.executable, bounds)


@dataclass(frozen=True, eq=False, kw_only=True)
class PartJob(Job):
    """Versions of one image of which only a part of the model runs. `inputs` has the versions' numbers.

    Attributes:
        image_shapes: the shapes of the model's inputs for the whole image.
    """

    image_shapes: Sequence[Shape]


class PartBatch(Batch):
    """A batch of one such job: no other request has the same versions."""

    def __init__(self, job: PartJob) -> None:
        super().__init__([job])
        self._image_shapes = job.image_shapes

    @cached_property
    def input_shapes(self) -> list[Shape]:
        """The shapes of the model's inputs: estimates are those of a run of the whole model, the most that a version can take."""
        return list(self._image_shapes)


def _stacked(jobs: Sequence[Job]) -> tuple[list[Array], dict[str, int]]:
    """One array for each input with each different row once, and the number of each row in it."""
    rows = {key: (job, number) for job in jobs for number, key in enumerate(job.keys)}
    lines = {key: line for line, key in enumerate(rows)}
    first = jobs[0]
    if len(jobs) == 1 and len(rows) == len(first.keys):
        return list(first.inputs), lines
    inputs = [
        np.stack([job.inputs[index][number] for job, number in rows.values()])
        for index in range(len(first.inputs))
    ]
    return inputs, lines


def _own(array: Array, lines: list[int], jobs: int) -> Array:
    """The rows of one job, copied out of a batch of several: a cached row must not keep the whole batch in memory."""
    return array if jobs == 1 and lines == list(range(len(array))) else array[lines]
