"""The pool of worker threads for blocking work: at most so many threads, pending calls and seconds."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from layerscope.errors import DeadlineExceeded, QueueFull

Result = TypeVar("Result")

_THREADS = 16


class WorkerPool:
    """Runs functions that would block the event loop.

    Args:
        max_pending: calls that may run or wait at the same time; one more is refused.
        deadline_seconds: how long a call may wait for a thread, and how long it may take in all unless `run` gives it
            extra seconds.
    """

    def __init__(self, max_pending: int, deadline_seconds: float) -> None:
        self._threads = ThreadPoolExecutor(
            min(_THREADS, max_pending), thread_name_prefix="layerscope-request"
        )
        self._max_pending = max_pending
        self._deadline_seconds = deadline_seconds
        self._counting = threading.Lock()
        self._pending = 0

    @property
    def pending(self) -> int:
        """How many calls run or wait."""
        return self._pending

    async def run(
        self,
        function: Callable[[], Result],
        extra_seconds: float = 0.0,
        give_up: Callable[[], bool] = lambda: True,
    ) -> Result:
        """Call a function in a thread of the pool.

        Args:
            function: not called at all if no thread becomes free before the deadline.
            extra_seconds: added to the deadline of the call, but not to its time in the queue.
            give_up: called at the deadline of a call that has begun. If it answers False, what the call was to change is
                changed, and its end is waited for: its result is true, and an error would not be.

        Raises:
            QueueFull: too many calls are pending.
            DeadlineExceeded: the call did not finish in time. A Python thread cannot be interrupted: a function that has
                begun continues in its thread, its result is discarded, and it counts as pending until it ends.
        """
        future = self._submit(function)
        loop = asyncio.get_running_loop()
        # Cancels a call that still waits in the queue; on a call that runs, `cancel` has no effect.
        expiry = loop.call_later(self._deadline_seconds, future.cancel)
        result = asyncio.wrap_future(future)
        try:
            await asyncio.wait({result}, timeout=self._deadline_seconds + extra_seconds)
            if not result.done() and not give_up():
                await asyncio.wait({result})
            if result.cancelled() or not result.done():
                seconds = self._deadline_seconds + extra_seconds
                raise DeadlineExceeded(
                    f"The request was not answered within its {seconds:g} seconds: try again, or ask for less.",
                    limit=int(seconds * 1000),
                )
            return result.result()
        finally:
            expiry.cancel()
            result.cancel()

    def close(self) -> None:
        """Wait for the calls that are pending, and end the threads."""
        self._threads.shutdown()

    def _submit(self, function: Callable[[], Result]) -> Future[Result]:
        with self._counting:
            if self._pending >= self._max_pending:
                raise QueueFull(
                    f"{self._pending} requests are being worked on already: try again in a moment."
                )
            self._pending += 1
        future = self._threads.submit(function)
        future.add_done_callback(self._end)
        return future

    def _end(self, _: Future[Result]) -> None:
        with self._counting:
            self._pending -= 1
