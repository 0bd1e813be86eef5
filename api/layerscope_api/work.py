"""Where blocking work is done: a bounded number of threads, and a bounded number of requests waiting for them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from layerscope.errors import QueueFull

Answer = TypeVar("Answer")

_THREADS = 16


class Work:
    """Runs what would block the event loop.

    Args:
        most_pending: requests being worked on or waiting; one more is refused.
    """

    def __init__(self, most_pending: int) -> None:
        self._threads = ThreadPoolExecutor(
            min(_THREADS, most_pending), thread_name_prefix="layerscope-request"
        )
        self._most_pending = most_pending
        self.pending = 0

    async def run(self, function: Callable[[], Answer]) -> Answer:
        """Call `function` in a thread.

        Raises:
            QueueFull: too many requests are pending.
        """
        if self.pending >= self._most_pending:
            raise QueueFull(f"{self.pending} requests are being worked on already: try again in a moment.")
        self.pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function)
        finally:
            self.pending -= 1

    def close(self) -> None:
        """Finish what is running."""
        self._threads.shutdown()
