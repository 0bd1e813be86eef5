"""Run requests that wait together, together; and compile what has no plan yet, while others run.

Nobody waits for a batch to fill: what is there when a worker is free, runs. Models take turns. What waits for the
same model joins the batch of the one that waits longest where that is no more work than running apart: rows that
several want run once, for all that is wanted of them, but an image of which the first layer is wanted is not taken
through the whole network because another's last layer is. A choice of layers that no plan computes is compiled by a
thread of its own before it comes to a worker.
"""

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from cachetools import LRUCache

from layerscope.errors import LayerscopeError, QueueFull
from layerscope.execution.batches import Batch, Job, Outcome, Told

if TYPE_CHECKING:
    from concurrent.futures import Future

    from layerscope.graph.runtime.executable import Executable
    from layerscope.graph.taps.tap import Tap

logger = logging.getLogger(__name__)

_WISHES_KEPT = 64


class Scheduler:
    """A queue and the threads that work it off.

    Args:
        workers: how many batches run at once.
        batch_rows: most rows in a batch, unless a single job has more.
        batch_bytes: most bytes of the values of a batch, unless a single job has more.
        pending_jobs: most jobs that wait.
        told: is told of every run.
    """

    def __init__(
        self, *, workers: int, batch_rows: int, batch_bytes: int, pending_jobs: int, told: Told | None = None
    ) -> None:
        self._told = told or (lambda _executable, _rows, _seconds: None)
        self._batch_rows = batch_rows
        self._batch_bytes = batch_bytes
        self._pending_jobs = pending_jobs
        lock = threading.Lock()
        self._runnable, self._compilable = threading.Condition(lock), threading.Condition(lock)
        self._ready, self._cold = _Turns(), _Turns()
        self._wishes = _Wishes()
        self._waiting = 0
        self._compiling = 0
        self._closed = False
        self.runs = 0
        loops = {f"run-{number}": self._work for number in range(workers)} | {"compile": self._compile}
        self._threads = [
            threading.Thread(target=loop, name=f"layerscope-{name}", daemon=True)
            for name, loop in loops.items()
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> "Future[Outcome]":
        """Queue a job.

        Raises:
            QueueFull: too many are waiting already, or the scheduler is closed.
        """
        batch = job.alone()
        is_ready = batch.is_ready
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

    def close(self) -> None:
        """Finish what is queued, then end the threads."""
        with self._runnable:
            self._closed = True
            self._runnable.notify_all()
            self._compilable.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while batch := self._next_ready():
            if jobs := batch.begin():
                self._run(batch, jobs)

    def _next_ready(self) -> Batch | None:
        """The batch whose turn it is; None when the scheduler is closed and nothing can come any more."""
        with self._runnable:
            self._runnable.wait_for(lambda: self._ready or self._is_over())
            if not self._ready:
                return None
            batch = self._ready.take(self._joined_if_ready)
            self._waiting -= len(batch.jobs)
            return batch

    def _is_over(self) -> bool:
        return self._closed and not self._cold and not self._compiling

    def _run(self, batch: Batch, jobs: Sequence[Job]) -> None:
        with self._runnable:
            self.runs += 1
        try:
            batch.run(jobs, self._told)
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].future.set_exception(error)
                return
            # One bad job must not fail its neighbours: alone, each gets its own result or its own error.
            for job in jobs:
                if not job.future.done():
                    self._run(job.alone(), [job])

    def _joined_if_ready(self, batch: Batch, other: Batch) -> Batch | None:
        both = self._joined(batch, other)
        if both is None or set(both.taps) == set(batch.taps) or both.is_ready:
            return both
        if batch.keys & other.keys and self._wishes.repeats(both):
            self._compilable.notify()
        return None

    def _joined(self, batch: Batch, other: Batch) -> Batch | None:
        """Both as one; None if they cannot run together, or had better not."""
        if batch.signature != other.signature:
            return None
        rows = len(batch.keys | other.keys)
        if rows > 1 and (batch.is_alone or other.is_alone):
            return None
        apart = len(batch.keys) * batch.work_per_row + len(other.keys) * other.work_per_row
        if rows > self._batch_rows or rows * max(batch.work_per_row, other.work_per_row) > apart:
            return None
        both = batch.with_(other)
        fits = both.nbytes <= self._batch_bytes and rows * both.work_per_row <= apart
        return both if fits else None

    def _compile(self) -> None:
        while (task := self._next_cold()) is not None:
            task()

    def _next_cold(self) -> Callable[[], None] | None:
        """What to compile next; None when the scheduler is closed and nothing waits for a plan."""
        with self._compilable:
            self._compilable.wait_for(lambda: self._cold or self._wishes.granted or self._closed)
            if self._cold:
                batch = self._cold.take(self._joined)
                self._compiling += 1
                return lambda: self._make_ready(batch)
            if self._closed:
                return None
            executable, taps = self._wishes.granted.popleft()
            return lambda: _compiled(lambda: executable.plans.compile(taps))

    def _make_ready(self, batch: Batch) -> None:
        # What cannot be compiled fails when it is run, and says so to whoever wants it.
        _compiled(batch.compile)
        with self._runnable:
            self._compiling -= 1
            self._ready.add(batch)
            self._runnable.notify_all()


class _Turns:
    """Batches that wait, in the order they came for each executable; executables take turns."""

    def __init__(self) -> None:
        self._queues: OrderedDict[Executable, deque[Batch]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._queues)

    def add(self, batch: Batch) -> None:
        self._queues.setdefault(batch.executable, deque()).append(batch)

    def take(self, joined: Callable[[Batch, Batch], Batch | None]) -> Batch:
        """The first of the executable whose turn it is, with all that join it."""
        executable, waiting = self._queues.popitem(last=False)
        batch, rest = waiting.popleft(), deque[Batch]()
        for other in waiting:
            both = joined(batch, other)
            if both is None:
                rest.append(other)
            else:
                batch = both
        if rest:
            self._queues[executable] = rest
        return batch


class _Wishes:
    """Plans that would have spared an image a run. One that is wished for again is granted: compiled in a free moment."""

    def __init__(self) -> None:
        self.granted: deque[tuple[Executable, tuple[Tap, ...]]] = deque()
        self._made: WeakKeyDictionary[Executable, LRUCache[frozenset[Tap], bool]] = WeakKeyDictionary()

    def repeats(self, batch: Batch) -> bool:
        """Take note of a wish; whether it is the second, by which it is granted."""
        made = self._made.setdefault(batch.executable, LRUCache(_WISHES_KEPT))
        wish = frozenset(batch.taps)
        is_second = made.get(wish) is False
        made[wish] = wish in made
        if is_second:
            self.granted.append((batch.executable, batch.taps))
        return is_second


def _compiled(compile_plan: Callable[[], None]) -> None:
    try:
        compile_plan()
    except LayerscopeError:
        # What has no gradient, or was unloaded meanwhile, is no bug, and fails again if it is run.
        return
    except Exception:
        logger.exception("A plan cannot be compiled")
