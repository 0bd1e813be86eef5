"""The scheduler: runs jobs that wait together in one batch, and compiles missing plans while others run.

There is no delay to fill a batch: a free thread runs what is waiting. Models take turns, or the keys of callers. Jobs for the
same model join the batch of the job that has waited longest if running together is no more work than running apart, by an
estimate from the graph. So an image that several jobs want runs once for all of their layers, but an image of which an early
layer is wanted is not taken through the whole network because another image's last layer is wanted.

Taps without a plan are compiled by a thread of its own before their jobs come to a worker thread. Compiling takes up to half
a second, in which the worker threads would have nothing to run.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from layerscope.errors import LayerscopeError, QueueFull
from layerscope.execution.batches import Batch, Job, OnRun, Outcome, ignore_run
from layerscope.execution.compile_hints import CompileHints
from layerscope.execution.fair_queue import FairQueue, Turn, by_model
from layerscope.graph.remote.run_process import RunProcess

if TYPE_CHECKING:
    from concurrent.futures import Future

logger = logging.getLogger(__name__)


_MOVED_BYTES_PER_SECOND = 1 << 30
_MOST_MOVING = 0.1
"""The share of a run's time that moving its inputs and values between processes may take."""


class Scheduler:
    """Queues of jobs, and the threads that run them.

    Args:
        name: of its threads.
        workers: how many batches run at once.
        batch_rows: most rows in a batch, unless a single job has more.
        batch_bytes: most bytes of the values of a batch, unless a single job has more.
        pending_jobs: most jobs that wait.
        turn: whose turn it must be for a batch to run.
        on_run: is called after every run.
        run_process: where batches run that may take longer than `short_seconds`, and those whose values are moved between processes
            in a small part of their time: it leaves the processors to short work. Left out, all run in this process.
        short_seconds: the longest estimate of a run in this process, if there is a run process.

    Attributes:
        runs: how many times a model was run.
    """

    def __init__(
        self,
        *,
        name: str = "run",
        workers: int,
        batch_rows: int,
        batch_bytes: int,
        pending_jobs: int,
        turn: Turn = by_model,
        on_run: OnRun = ignore_run,
        run_process: RunProcess | None = None,
        short_seconds: float = 1.0,
    ) -> None:
        self._on_run = on_run
        self._run_process = run_process
        self._short_seconds = short_seconds
        self._batch_rows = batch_rows
        self._batch_bytes = batch_bytes
        self._pending_jobs = pending_jobs
        # One lock, two conditions: a job that arrives wakes up either a worker thread or the compiling thread.
        lock = threading.Lock()
        self._runnable, self._compilable = threading.Condition(lock), threading.Condition(lock)
        self._ready, self._cold = FairQueue(turn), FairQueue(turn)
        self._hints = CompileHints()
        self._waiting = 0
        self._compiling = 0
        self._begun: dict[Batch, float] = {}
        self._closed = False
        self.runs = 0
        loops = {f"{name}-{number}": self._work for number in range(workers)}
        loops[f"{name}-compile"] = self._compile
        self._threads = [
            threading.Thread(target=loop, name=f"layerscope-{each}", daemon=True)
            for each, loop in loops.items()
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> "Future[Outcome]":
        """Queue a job.

        Raises:
            QueueFull: too many are waiting already, or the scheduler is closed.
        """
        batch = job.alone()
        # The run process compiles its own plans.
        is_ready = self._process_of(batch) is not None or batch.is_ready
        with self._runnable:
            if self._closed:
                raise QueueFull("The service is closing: try again in a moment.")
            if self._waiting >= self._pending_jobs:
                raise QueueFull(f"{self._waiting} requests are waiting already: try again in a moment.")
            self._waiting += 1
            if is_ready:
                self._ready.add(batch)
                self._runnable.notify()
            else:
                self._cold.add(batch)
                self._compilable.notify()
        return job.future

    @property
    def longest_run(self) -> float:
        """The seconds since the oldest of the runs began that go on in this process."""
        with self._runnable:
            return time.monotonic() - min(self._begun.values()) if self._begun else 0.0

    def close(self) -> None:
        """Finish what is queued, then end the threads."""
        with self._runnable:
            self._closed = True
            self._runnable.notify_all()
            self._compilable.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        """The loop of a worker thread."""
        while batch := self._next_ready():
            if jobs := batch.begin():
                self._run(batch, jobs)

    def _next_ready(self) -> Batch | None:
        """The batch to run next; None when the scheduler is closed and no batch can come any more."""
        with self._runnable:
            self._runnable.wait_for(lambda: self._ready or self._is_over())
            if not self._ready:
                return None
            batch = self._ready.take(self._join_ready)
            self._waiting -= len(batch.jobs)
            return batch

    def _is_over(self) -> bool:
        return self._closed and not self._cold and not self._compiling

    def _process_of(self, batch: Batch) -> RunProcess | None:
        """The process in which a batch runs; None for this one."""
        if self._run_process is None:
            return None
        seconds = batch.run_seconds
        if seconds is None or seconds > self._short_seconds:
            return self._run_process
        moving = batch.moved_bytes / _MOVED_BYTES_PER_SECOND
        return self._run_process if moving <= _MOST_MOVING * seconds else None

    def _run(self, batch: Batch, jobs: Sequence[Job]) -> None:
        run_process = self._process_of(batch)
        with self._runnable:
            self.runs += 1
            if run_process is None:
                self._begun[batch] = time.monotonic()
        try:
            batch.run(jobs, self._on_run, run_process)
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].future.set_exception(error)
                return
            # One bad job must not fail its neighbours: alone, each gets its own result or its own error.
            for job in jobs:
                if not job.future.done():
                    self._run(job.alone(), [job])
        finally:
            with self._runnable:
                self._begun.pop(batch, None)

    def _join_ready(self, batch: Batch, other: Batch) -> Batch | None:
        """Both as one if there is a plan for it; else a hint that such a plan would have spared a run."""
        both = self._join(batch, other)
        if both is None or set(both.taps) == set(batch.taps) or both.is_ready:
            return both
        if batch.keys & other.keys and self._hints.add(both):
            self._compilable.notify()
        return None

    def _join(self, batch: Batch, other: Batch) -> Batch | None:
        """Both as one; None if they cannot run together, or had better not."""
        # The same image under edits, or under other ones, has other values.
        if batch.signature != other.signature or batch.edits or other.edits:
            return None
        rows = len(batch.keys | other.keys)
        if rows > 1 and (batch.is_alone or other.is_alone):
            return None
        # Together, every row is computed as far as the deepest tap; apart, each only as far as its own taps. On two
        # processors, sixteen different images took 175 ms for the union of their layers, and 156 ms apart. The work of
        # the combined taps is at least that of either side, so the cheap test with `max` comes first.
        apart = len(batch.keys) * batch.work_per_row + len(other.keys) * other.work_per_row
        if rows > self._batch_rows or rows * max(batch.work_per_row, other.work_per_row) > apart:
            return None
        both = batch.with_(other)
        fits = both.nbytes <= self._batch_bytes and rows * both.work_per_row <= apart
        return both if fits else None

    def _compile(self) -> None:
        """The loop of the compiling thread."""
        while (task := self._next_cold()) is not None:
            task()

    def _next_cold(self) -> Callable[[], None] | None:
        """What to compile next; None when the scheduler is closed and no job waits for a plan."""
        with self._compilable:
            self._compilable.wait_for(lambda: self._cold or self._hints.due or self._closed)
            if self._cold:
                batch = self._cold.take(self._join)
                self._compiling += 1
                return lambda: self._make_ready(batch)
            if self._closed:
                return None
            executable, taps = self._hints.due.popleft()
            return lambda: _try_to_compile(lambda: executable.plans.compile(taps))

    def _make_ready(self, batch: Batch) -> None:
        # What cannot be compiled fails again when it is run, and its jobs get that error.
        _try_to_compile(batch.compile)
        with self._runnable:
            self._compiling -= 1
            self._ready.add(batch)
            self._runnable.notify_all()


def _try_to_compile(compile_plan: Callable[[], None]) -> None:
    try:
        compile_plan()
    except LayerscopeError:
        # What has no gradient, or was unloaded meanwhile, is no bug, and fails again if it is run.
        return
    except Exception:
        logger.exception("A plan cannot be compiled")
