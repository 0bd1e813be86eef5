"""Where blocking work is done: a bounded number of threads, for a bounded number of requests, in a bounded time."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from layerscope.errors import DeadlineExceeded, QueueFull

Answer = TypeVar("Answer")

_THREADS = 16


class Work:
    """Runs what would block the event loop.

    Args:
        most_pending: requests being worked on or waiting; one more is refused.
        longest: how long one may wait for a thread, and unless it is given more time, take in all; in seconds.
    """

    def __init__(self, most_pending: int, longest: float) -> None:
        self._threads = ThreadPoolExecutor(
            min(_THREADS, most_pending), thread_name_prefix="layerscope-request"
        )
        self._most_pending = most_pending
        self._longest = longest
        self._counting = threading.Lock()
        self._pending = 0

    @property
    def pending(self) -> int:
        """How many requests are being worked on or waiting."""
        return self._pending

    async def run(self, function: Callable[[], Answer], more: float = 0.0) -> Answer:
        """Call `function` in a thread.

        Args:
            function: is never called if no thread is free in time. Where it is called and does not end in time, nobody
                waits for it: it ends by itself, and counts as pending until then.
            more: how many seconds it may take besides.

        Raises:
            QueueFull: too many requests are pending.
            DeadlineExceeded: the time is up.
        """
        future = self._submit(function)
        loop = asyncio.get_running_loop()
        # What has begun cannot be cancelled: this does nothing to it.
        expiry = loop.call_later(self._longest, future.cancel)
        answer = asyncio.wrap_future(future)
        try:
            await asyncio.wait({answer}, timeout=self._longest + more)
            if answer.cancelled() or not answer.done():
                seconds = self._longest + more
                raise DeadlineExceeded(
                    f"The request was not answered within its {seconds:g} seconds: try again, or ask for less.",
                    limit=int(seconds * 1000),
                )
            return answer.result()
        finally:
            expiry.cancel()
            answer.cancel()

    def close(self) -> None:
        """Finish what is running."""
        self._threads.shutdown()

    def _submit(self, function: Callable[[], Answer]) -> Future[Answer]:
        with self._counting:
            if self._pending >= self._most_pending:
                raise QueueFull(
                    f"{self._pending} requests are being worked on already: try again in a moment."
                )
            self._pending += 1
        future = self._threads.submit(function)
        future.add_done_callback(self._end)
        return future

    def _end(self, _: Future[Answer]) -> None:
        with self._counting:
            self._pending -= 1
