"""Jobs, and batches of them: what the scheduler runs at once."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from layerscope.errors import DeadlineExceeded
from layerscope.execution.cancellation import CancellationToken
from layerscope.graph.runtime.executable import Executable
from layerscope.graph.taps.tap import Shape, Tap

Array = np.ndarray[Any, np.dtype[Any]]

Told = Callable[[Executable, int, float], None]
"""Is told of a run: what ran, how many rows, and the seconds it took."""

_LATE = "The request waited longer than it may: try again, or ask for less."


@contextmanager
def deadline_told() -> Iterator[None]:
    """While something is waited for, say of a wait that is up that the request waited too long.

    Raises:
        DeadlineExceeded: it is up.
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
    """Rows to run and the taps wanted of them.

    Attributes:
        executable: what runs them.
        inputs: one array an input, (rows, *input shape).
        keys: names the content of each row: rows of one name are the same.
        taps: what is wanted of all rows.
        deadline: when it is of no use any more, on the clock of `time.monotonic`.
        cancellation: whether its caller still needs it.
        is_exact: whether each row must have the values, to the last bit, that it has when it runs alone. A job for which
            that does not matter runs apart from others, so that its values do not depend on who else is there.
    """

    executable: Executable
    inputs: Sequence[Array]
    keys: Sequence[str]
    taps: tuple[Tap, ...]
    deadline: float
    cancellation: CancellationToken = field(default_factory=CancellationToken)
    is_exact: bool = True
    future: "Future[Outcome]" = field(default_factory=Future)
    submitted: float = field(default_factory=time.monotonic)

    def alone(self) -> "Batch":
        """A batch of this job only."""
        return Batch([self])

    def begin(self) -> bool:
        """Whether it is still worth running: its caller is there and its time is not up."""
        if not self.future.set_running_or_notify_cancel():
            return False
        if not self.cancellation.is_cancelled and time.monotonic() <= self.deadline:
            return True
        self.future.set_exception(DeadlineExceeded(_LATE))
        return False


class Batch:
    """Jobs for one executable, with inputs of one signature, that run together.

    Each different row runs once, for every tap that any job wants.
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
        """What must be equal for batches to become one."""
        return [(array.shape[1:], array.dtype.str) for array in self.jobs[0].inputs]

    @cached_property
    def keys(self) -> frozenset[str]:
        """The names of its different rows."""
        return frozenset(key for job in self.jobs for key in job.keys)

    @cached_property
    def work_per_row(self) -> int:
        """What computing its taps for one row is, see `Executable.work`."""
        return self.executable.inspection.work(self.taps, self.input_shapes)

    @cached_property
    def nbytes(self) -> int:
        """Bytes of all values it computes to hand out."""
        return len(self.keys) * self.executable.inspection.value_bytes(self.taps, self.input_shapes)

    @cached_property
    def is_alone(self) -> bool:
        """Whether others had better not join, because each image would run by itself anyway, or they may not."""
        return not (self.is_exact and self.executable.batches(self.taps, self.input_shapes))

    @property
    def is_exact(self) -> bool:
        """Whether each row has the values that it has alone."""
        return all(job.is_exact for job in self.jobs)

    @property
    def is_ready(self) -> bool:
        """Whether there is a plan to run it."""
        return self.executable.plans.is_ready(self.taps, self.input_shapes)

    def with_(self, other: "Batch") -> "Batch":
        """Both as one."""
        return type(self)((*self.jobs, *other.jobs))

    def compile(self) -> None:
        """Have a plan to run it."""
        self.executable.plans.compile(self.taps)

    def compute(self, inputs: Sequence[Array]) -> list[Array]:
        """The values of its taps for some rows."""
        return self.executable.run(inputs, self.taps, exact=self.is_exact)

    def begin(self) -> list[Job]:
        """The jobs that are still worth running."""
        return [job for job in self.jobs if job.begin()]

    def run(self, jobs: Sequence[Job], told: Told = lambda _executable, _rows, _seconds: None) -> None:
        """Run those of its jobs that have begun, and hand each its own.

        Args:
            jobs: what has begun.
            told: is told of the run before anybody gets anything.

        Raises:
            Exception: whatever the run raises; who has got nothing then gets nothing.
        """
        started = time.monotonic()
        inputs, lines = _stacked(jobs)
        # For all taps of the batch, though a job may have dropped out: it is these that have a plan.
        arrays = self.compute(inputs)
        values = dict(zip(self.taps, arrays, strict=True))
        ran = time.monotonic() - started
        told(self.executable, len(lines), ran)
        for job in jobs:
            own = [_own(values[tap], [lines[key] for key in job.keys], len(jobs)) for tap in job.taps]
            waited = "queue", job.submitted, started - job.submitted
            job.future.set_result(Outcome(own, (waited, ("run", started, ran))))


def _stacked(jobs: Sequence[Job]) -> tuple[list[Array], dict[str, int]]:
    """One array an input with each different row once, and the number of each."""
    rows = {key: (job, number) for job in jobs for number, key in enumerate(job.keys)}
    lines = {key: line for line, key in enumerate(rows)}
    first = jobs[0]
    if len(jobs) == 1 and len(rows) == len(first.keys):
        return list(first.inputs), lines
    inputs = [
        np.stack([job.inputs[place][number] for job, number in rows.values()])
        for place in range(len(first.inputs))
    ]
    return inputs, lines


def _own(array: Array, lines: list[int], jobs: int) -> Array:
    """A job's rows; copied out of a batch, so that keeping them does not keep what is of others."""
    return array if jobs == 1 and lines == list(range(len(array))) else array[lines]
