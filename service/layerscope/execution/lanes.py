"""Lanes: short and long work have schedulers of their own, with their own threads and queues, so that short work never waits for long.

Whether work is long is known before it runs, from an estimate of the graph. Work that nothing is known of is long.
"""

import os
from dataclasses import dataclass

from layerscope.execution.batches import OnRun, ignore_run
from layerscope.execution.cancellation import CancellationToken
from layerscope.execution.fair_queue import by_model, by_owner
from layerscope.execution.scheduler import Scheduler
from layerscope.graph.prepared.devices import has_gpu
from layerscope.graph.remote.run_process import RunProcess
from layerscope.limits import Limits

_SHORT_WORKERS = 2
"""How many batches of short work run at once."""

_JOBS_OF_A_LONG_REQUEST = 4
"""The most jobs of one long request that wait or run: two of each model of a comparison."""


@dataclass(frozen=True)
class Lane:
    """Where the jobs of one request run.

    Attributes:
        scheduler: runs them.
        cancellation: whether the caller still needs them.
        owner: the key that they are for; None for a caller without one.
    """

    scheduler: Scheduler
    cancellation: CancellationToken
    owner: str | None = None


class Lanes:
    """The schedulers of short and of long work.

    Long work has fewer threads, at least one. Owners take turns in it, so that no key keeps others waiting; in short work,
    models do.

    Args:
        limits: the bounds in force.
        on_run: is called after every run.
        run_process: where long runs of long work are made; left out, in this process.
    """

    def __init__(
        self, limits: Limits, on_run: OnRun = ignore_run, run_process: RunProcess | None = None
    ) -> None:
        self._limits = limits
        self._short = Scheduler(
            name="short",
            workers=_SHORT_WORKERS,
            batch_rows=_batch_rows(limits),
            batch_bytes=limits.batch_bytes,
            pending_jobs=limits.pending_requests,
            turn=by_model,
            on_run=on_run,
        )
        self._long = Scheduler(
            name="long",
            workers=_long_workers(),
            batch_rows=_batch_rows(limits),
            batch_bytes=limits.batch_bytes,
            pending_jobs=_JOBS_OF_A_LONG_REQUEST * limits.long_requests,
            turn=by_owner,
            on_run=on_run,
            run_process=run_process,
            short_seconds=limits.short_milliseconds / 1000,
        )

    @property
    def runs(self) -> int:
        """How many times models have run."""
        return self._short.runs + self._long.runs

    @property
    def longest_run(self) -> float:
        """The seconds since the oldest of the runs began that go on in this process."""
        return max(self._short.longest_run, self._long.longest_run)

    def is_long(self, seconds: float | None) -> bool:
        """Whether work of so many estimated seconds, or of an unknown number of them, is long."""
        return seconds is None or seconds * 1000 > self._limits.short_milliseconds

    def lane(
        self, seconds: float | None, cancellation: CancellationToken | None = None, owner: str | None = None
    ) -> Lane:
        """The lane of a request whose work is estimated to take so many seconds; None where that is not known."""
        scheduler = self._long if self.is_long(seconds) else self._short
        return Lane(scheduler, cancellation or CancellationToken(), owner)

    def close(self) -> None:
        """Finish what is queued, then end the threads."""
        self._short.close()
        self._long.close()


def total_seconds(*runs: tuple[int, float | None]) -> float | None:
    """The estimated time of runs of several kinds; None if it is not known.

    Args:
        runs: for each kind, how many there are, and the estimated seconds of one; None where these are not known.
    """
    total = 0.0
    for times, seconds in runs:
        if times and seconds is None:
            return None
        total += times * (seconds or 0.0)
    return total


def _long_workers() -> int:
    """How many batches of long work run at once: on two processors one, so that it never has both."""
    return max(1, min(_SHORT_WORKERS, (os.cpu_count() or 1) - 1))


def _batch_rows(limits: Limits) -> int:
    """The most rows of a batch: without a GPU, as many as a worker thread has processors.

    The values of larger batches do not fit into the processors' caches. For a mid layer of MobileNetV2 on two processors, an
    image takes 6.5 ms of processor time alone, and 10 ms in a batch of 16.
    """
    if has_gpu():
        return limits.batch_rows
    return max(1, min(limits.batch_rows, (os.cpu_count() or 1) // _SHORT_WORKERS))
