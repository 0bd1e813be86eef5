"""The pool of worker threads for blocking work: at most so many pending calls, each with a thread, and so many seconds."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from layerscope.errors import DeadlineExceeded, QueueFull, QuotaExceeded

Result = TypeVar("Result")


class WorkerPool:
    """Runs functions that would block the event loop.

    Every call has a thread: most of them wait, for memory or for a run of a model, and must not keep others from a thread meanwhile.

    Args:
        max_pending: calls that may be pending at the same time; one more is refused.
        deadline_seconds: how long a call may take unless `run` gives it extra seconds.
        what: the calls, as errors name them.
        share: most calls of one owner that may be pending at the same time; None for no such bound.
    """

    def __init__(
        self,
        max_pending: int,
        deadline_seconds: float,
        *,
        what: str = "requests",
        share: int | None = None,
    ) -> None:
        self._threads = ThreadPoolExecutor(
            max_pending, thread_name_prefix=f"layerscope-{what.replace(' ', '-')}"
        )
        self._what = what
        self._share = share
        self._pending_of: Counter[str] = Counter()
        self._max_pending = max_pending
        self._deadline_seconds = deadline_seconds
        self._counting = threading.Lock()
        self._pending = 0

    @property
    def pending(self) -> int:
        """How many calls are pending."""
        return self._pending

    async def run(
        self,
        function: Callable[[], Result],
        extra_seconds: float = 0.0,
        give_up: Callable[[], bool] = lambda: True,
    ) -> Result:
        """Call a function in a thread of the pool.

        Args:
            function: is called in a thread of the pool.
            extra_seconds: added to the deadline of the call.
            give_up: called at the deadline. If it answers False, what the call was to change is changed, and its end is waited
                for: its result is true, and an error would not be.

        Raises:
            QueueFull: too many calls are pending.
            DeadlineExceeded: the call did not finish in time. A Python thread cannot be interrupted: a function that has
                begun continues in its thread, its result is discarded, and it counts as pending until it ends.
        """
        return await self.result(
            self.submit(function), self._deadline_seconds + extra_seconds, give_up=give_up
        )

    def submit(self, function: Callable[[], Result], owner: str | None = None) -> Future[Result]:
        """Begin a call.

        Args:
            function: is called in a thread of the pool.
            owner: the key in whose share it counts; None for a caller without one.

        Raises:
            QueueFull: too many calls are pending.
            QuotaExceeded: too many calls of this owner are pending.
        """
        with self._counting:
            self._require_room(owner)
            self._pending += 1
            self._pending_of[owner or ""] += 1
        future = self._threads.submit(function)
        future.add_done_callback(lambda _: self._end(owner))
        return future

    async def result(
        self,
        future: Future[Result],
        seconds: float,
        spent: float = 0.0,
        give_up: Callable[[], bool] = lambda: True,
    ) -> Result:
        """Wait for the end of a call.

        Args:
            future: from `submit`.
            seconds: the deadline of all that the call is a part of.
            spent: how many of these seconds are over.
            give_up: as for `run`.

        Raises:
            DeadlineExceeded: as for `run`.
        """
        result = asyncio.wrap_future(future)
        try:
            await asyncio.wait({result}, timeout=seconds - spent)
            if not result.done() and not give_up():
                await asyncio.wait({result})
            if not result.done():
                raise DeadlineExceeded(
                    f"The request was not answered within its {seconds:g} seconds: try again, or ask for less.",
                    limit=int(seconds * 1000),
                )
            return result.result()
        finally:
            result.cancel()

    def close(self) -> None:
        """Wait for the calls that are pending, and end the threads."""
        self._threads.shutdown()

    def _require_room(self, owner: str | None) -> None:
        if self._pending >= self._max_pending:
            raise QueueFull(
                f"{self._pending} {self._what} are being worked on already: try again in a moment."
            )
        if owner is not None and self._share is not None and self._pending_of[owner] >= self._share:
            raise QuotaExceeded(
                f"{self._share} {self._what} of this key are being worked on already: wait for one of them.",
                limit=self._share,
            )

    def _end(self, owner: str | None) -> None:
        with self._counting:
            self._pending -= 1
            self._pending_of[owner or ""] -= 1
            if not self._pending_of[owner or ""]:
                del self._pending_of[owner or ""]
