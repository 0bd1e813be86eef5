"""Job streams: many rows of one request, run as small jobs of which only a few wait at a time."""

import itertools
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from layerscope.errors import DeadlineExceeded, QueueFull
from layerscope.execution.batches import Job, Outcome
from layerscope.execution.lanes import Lane
from layerscope.execution.progress import Progress
from layerscope.graph.runtime.executable import Executable

MAX_PENDING = 2
"""Jobs of one attribution that wait or run at a time: as many as there are threads that run jobs.

With more, an attribution would fill the queue, and its versions would take memory before they can run.
"""

_LATE = "The work took longer than it may, or nobody waits for it: ask for less, or try again."


_row_numbers = itertools.count()


def of_one_request(
    executable: Executable, count: int, seed: int, deadline: float, lane: Lane
) -> dict[str, Any]:
    """What jobs have in common whose rows belong to one request: versions of its images, or images that it compares.

    Each row has a unique name, so that it is never taken for another. Values need not be exact, see `Job.is_exact`: which rows run
    together does not depend on other requests.

    Args:
        executable: runs them.
        count: of the rows.
        seed: of the random numbers that the model draws.
        deadline: when the results are of no use any more, on the clock of `time.monotonic`.
        lane: where they run, and for whom.
    """
    return {
        "executable": executable,
        "keys": [f"row {next(_row_numbers)}" for _ in range(count)],
        "seed": seed,
        "deadline": deadline,
        "cancellation": lane.cancellation,
        "owner": lane.owner,
        "is_exact": False,
    }


@dataclass(frozen=True, kw_only=True)
class RunBudget:
    """What the runs of one attribution may take.

    Attributes:
        batch_rows: the most versions that run together.
        deadline: when their results are of no use any more, on the clock of `time.monotonic`.
        lane: where they run, and for whom.
        total: an estimate of how many versions there will be.
        progress: is called with the number of those that are done, and with `total`.
    """

    batch_rows: int
    deadline: float
    lane: Lane
    total: int
    progress: Progress | None


class JobStream:
    """Runs jobs within a budget, and reports the progress.

    Args:
        budget: the bounds.
    """

    def __init__(self, budget: RunBudget) -> None:
        self._scheduler = budget.lane.scheduler
        self._budget = budget
        self._done = 0

    def run(self, job: Job) -> Outcome:
        """Run one job that does not count as progress.

        Raises:
            DeadlineExceeded: the time is up, or the work was cancelled.
            QueueFull: too many jobs of all requests are waiting.
        """
        return self._result(self._scheduler.submit(job))

    def outcomes(
        self, rows: int, job: Callable[[range], Job], rows_per_job: int | None = None
    ) -> Generator[Outcome, None, None]:
        """Run rows as jobs, and yield the outcomes in order.

        Args:
            rows: how many rows there are.
            job: makes the job of some of them; called when there is room for it.
            rows_per_job: the most rows of a job; None for `RunBudget.batch_rows`.

        Raises:
            DeadlineExceeded: the time is up, or the work was cancelled.
            QueueFull: too many jobs of all requests are waiting, and none of these are.
        """
        size = rows_per_job or self._budget.batch_rows
        pending: deque[tuple[Future[Outcome], int]] = deque()
        try:
            for start in range(0, rows, size):
                numbers = range(start, min(start + size, rows))
                if len(pending) >= MAX_PENDING:
                    yield self._next(pending)
                made = job(numbers)
                try:
                    future = self._scheduler.submit(made)
                except QueueFull:
                    # An attribution that has begun goes on: it only sends fewer jobs ahead.
                    if not pending:
                        raise
                    yield self._next(pending)
                    future = self._scheduler.submit(made)
                pending.append((future, len(numbers)))
            while pending:
                yield self._next(pending)
        finally:
            for future, _ in pending:
                future.cancel()

    def _next(self, pending: deque[tuple[Future[Outcome], int]]) -> Outcome:
        future, rows = pending.popleft()
        outcome = self._result(future)
        self._report(self._done + rows)
        return outcome

    def finish(self) -> None:
        """Report that all is done, also where it took fewer versions than was estimated."""
        if self._done < self._budget.total:
            self._report(self._budget.total)

    def _report(self, done: int) -> None:
        self._done = done
        budget = self._budget
        if budget.progress is not None and budget.total > 1:
            budget.progress(min(done, budget.total), budget.total)

    def _result(self, future: "Future[Outcome]") -> Outcome:
        try:
            return future.result(max(0.0, self._budget.deadline - time.monotonic()))
        except TimeoutError as error:
            future.cancel()
            raise DeadlineExceeded(_LATE) from error
