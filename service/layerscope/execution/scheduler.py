"""Run requests that wait together, together.

Jobs for one executable, with inputs of one shape and the same taps, form a group. A free worker takes the group
whose turn it is, runs as many rows of it as a batch may have, and hands each job exactly its own. Nobody waits for a
batch to fill: what is there when a worker is free, runs. Different taps are not united, because every new union is
another plan to compile, which costs ten times what it saves.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from layerscope.errors import DeadlineExceeded, QueueFull
from layerscope.graph.executable import Executable
from layerscope.graph.taps import Tap

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Outcome:
    """What a job got: one array a tap, (rows, *tap shape), of its own, and the seconds it waited and ran."""

    arrays: list[Array]
    queued: float
    ran: float


@dataclass(frozen=True, eq=False)
class Job:
    """Rows to run and the taps wanted of them. `deadline` is on the clock of `time.monotonic`."""

    executable: Executable
    inputs: Sequence[Array]
    taps: tuple[Tap, ...]
    deadline: float
    future: "Future[Outcome]" = field(default_factory=Future)
    submitted: float = field(default_factory=time.monotonic)

    @property
    def rows(self) -> int:
        """How many images it has."""
        return len(self.inputs[0])

    @property
    def group(self) -> tuple[Any, ...]:
        """What must be equal for jobs to run together."""
        return (self.executable, self.taps, *((array.shape[1:], array.dtype.str) for array in self.inputs))


class Scheduler:
    """A queue and the threads that work it off.

    Args:
        workers: how many batches run at once.
        batch_rows: most images in a batch; a job with more runs alone.
        pending_jobs: most jobs that wait.
    """

    def __init__(self, *, workers: int, batch_rows: int, pending_jobs: int) -> None:
        self._batch_rows = batch_rows
        self._pending_jobs = pending_jobs
        self._groups: OrderedDict[tuple[Any, ...], deque[Job]] = OrderedDict()
        self._changed = threading.Condition()
        self._waiting = 0
        self._closed = False
        self.runs = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"layerscope-run-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> "Future[Outcome]":
        """Queue a job.

        Raises:
            QueueFull: too many are waiting already, or the scheduler is closed.
        """
        with self._changed:
            if self._closed:
                raise QueueFull("The service is closing: try again in a moment.")
            if self._waiting >= self._pending_jobs:
                raise QueueFull(f"{self._waiting} requests are waiting already: try again in a moment.")
            self._groups.setdefault(job.group, deque()).append(job)
            self._waiting += 1
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Finish what is queued, then end the workers."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while batch := self._next_batch():
            runnable = [job for job in batch if _begin(job)]
            if runnable:
                self._run(runnable)

    def _next_batch(self) -> list[Job]:
        """The next jobs of the group whose turn it is; none when the scheduler is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._groups or self._closed)
            if not self._groups:
                return []
            key, jobs = self._groups.popitem(last=False)
            batch = [jobs.popleft()]
            rows = batch[0].rows
            while jobs and rows + jobs[0].rows <= self._batch_rows:
                rows += jobs[0].rows
                batch.append(jobs.popleft())
            if jobs:
                self._groups[key] = jobs
            self._waiting -= len(batch)
            return batch

    def _run(self, batch: list[Job]) -> None:
        try:
            self._run_together(batch)
        except Exception as error:
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            # One bad job must not fail its neighbours: alone, each gets its own result or its own error.
            for job in batch:
                self._run([job])

    def _run_together(self, batch: list[Job]) -> None:
        started = time.monotonic()
        columns = zip(*(job.inputs for job in batch), strict=True)
        inputs = [column[0] if len(column) == 1 else np.concatenate(column) for column in columns]
        arrays = batch[0].executable.run(inputs, batch[0].taps)
        with self._changed:
            self.runs += 1
        ran = time.monotonic() - started
        row = 0
        for job in batch:
            own = arrays if len(batch) == 1 else [array[row : row + job.rows].copy() for array in arrays]
            row += job.rows
            job.future.set_result(Outcome(own, started - job.submitted, ran))


def _begin(job: Job) -> bool:
    """Whether the job is still wanted: its caller is there and its time is not up."""
    if not job.future.set_running_or_notify_cancel():
        return False
    if time.monotonic() > job.deadline:
        job.future.set_exception(
            DeadlineExceeded("The request waited longer than it may: try again, or ask for less.")
        )
        return False
    return True
