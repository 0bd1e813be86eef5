"""Where blocking work is done: a bounded number of threads, and a bounded number of requests waiting for them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from layerscope.errors import DeadlineExceeded, QueueFull

Answer = TypeVar("Answer")

_THREADS = 16


class Work:
    """Runs what would block the event loop.

    Args:
        most_pending: requests being worked on or waiting; one more is refused.
        longest_wait: how long one may wait for a thread, in seconds.
    """

    def __init__(self, most_pending: int, longest_wait: float) -> None:
        self._threads = ThreadPoolExecutor(
            min(_THREADS, most_pending), thread_name_prefix="layerscope-request"
        )
        self._most_pending = most_pending
        self._longest_wait = longest_wait
        self.pending = 0

    async def run(self, function: Callable[[], Answer]) -> Answer:
        """Call `function` in a thread.

        Raises:
            QueueFull: too many requests are pending.
            DeadlineExceeded: no thread was free in time; the function is never called.
        """
        if self.pending >= self._most_pending:
            raise QueueFull(f"{self.pending} requests are being worked on already: try again in a moment.")
        self.pending += 1
        future = self._threads.submit(function)
        # What has begun cannot be cancelled: this does nothing to it.
        expiry = asyncio.get_running_loop().call_later(self._longest_wait, future.cancel)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise DeadlineExceeded(
                f"The request waited longer than {self._longest_wait:g} seconds: others were before it.",
                limit=int(self._longest_wait * 1000),
            ) from None
        finally:
            expiry.cancel()
            self.pending -= 1

    def close(self) -> None:
        """Finish what is running."""
        self._threads.shutdown()
