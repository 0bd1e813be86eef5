"""Turns: the requests of API keys take turns at what they all share, the event loop and the interpreter.

Most requests take a few milliseconds of both before they wait, for memory or for a run of a model. Without turns, whoever sends
most has most of that time, and all others wait behind it, however quickly each request is refused.
"""

import asyncio
import heapq
import itertools
import threading
from collections import defaultdict
from collections.abc import Callable

from starlette.types import Scope

_AT_ONCE = 2
"""How many requests have turns at the same time: one in the event loop, and one in a thread."""

_LONGEST_SECONDS = 0.01
"""The longest turn. Nobody waits for a request that works on, which shares the interpreter with others from then on."""


class Turn:
    """The turn of one request. Safe to use from many threads.

    Args:
        end: is called when it ends.
    """

    def __init__(self, end: Callable[[], None]) -> None:
        self._end: Callable[[], None] | None = end
        self._lock = threading.Lock()

    def give_back(self) -> None:
        """End the turn, if it has not ended: the request waits for something, or is answered."""
        with self._lock:
            end, self._end = self._end, None
        if end is not None:
            end()


class Turns:
    """The turns of all requests. Among those that wait, the next one is of the key that has had least (start-time fair queueing).

    So a key with many requests waits for itself, and one with few waits for little more than the turns that go on.

    Source: Goyal, Vin and Cheng, "Start-time Fair Queuing" (SIGCOMM 1996).

    Args:
        seconds: the longest turn.
    """

    def __init__(self, seconds: float = _LONGEST_SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._free = _AT_ONCE
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        # The virtual time, and the virtual time of each key's last turn.
        self._time = 0
        self._last: defaultdict[str, int] = defaultdict(int)

    async def take(self, owner: str) -> Turn:
        """Wait for a turn.

        Args:
            owner: the key that the request is of.
        """
        loop = asyncio.get_running_loop()
        if (waiting := self._queued(owner, loop)) is not None:
            try:
                await waiting
            except asyncio.CancelledError:
                if not waiting.cancelled():
                    self._end(loop)
                raise
        turn = Turn(lambda: self._end(loop))
        loop.call_later(self._seconds, turn.give_back)
        return turn

    def _queued(self, owner: str, loop: asyncio.AbstractEventLoop) -> "asyncio.Future[None] | None":
        """What is done when a turn begins; None if it begins at once."""
        with self._lock:
            start = self._last[owner] = max(self._time, self._last[owner] + 1)
            if self._free:
                # What a key had while there was nobody else does not count against it.
                self._time = start + 1 if self._free == _AT_ONCE else start
                self._free -= 1
                return None
            waiting = loop.create_future()
            heapq.heappush(self._waiting, (start, next(self._numbers), waiting))
            return waiting

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            self._time, _, waiting = heapq.heappop(self._waiting)
        loop.call_soon_threadsafe(self._grant, waiting, loop)

    def _grant(self, waiting: "asyncio.Future[None]", loop: asyncio.AbstractEventLoop) -> None:
        if waiting.cancelled():
            self._end(loop)
        else:
            waiting.set_result(None)


def turn_of(scope: Scope) -> Turn | None:
    """The turn of a request; None if it has none, because its caller has no key."""
    turn: Turn | None = scope.get("turn")
    return turn
