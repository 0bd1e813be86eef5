"""Large bodies: connections that receive them take turns, so that a pass of the event loop reads a part of one of them only.

The event loop would otherwise read from each connection that has something in each pass: with many large bodies at once, all
other requests wait for megabytes in each of their steps.
"""

import asyncio
from collections import deque
from typing import Protocol

LARGE_BYTES = 256 * 1024
"""Requests of which more has come take turns."""


class Reading(Protocol):
    """What reads from a connection, after it was paused."""

    def resume_reading(self) -> None:
        """Read on."""


class LargeBodies:
    """The connections whose turn it will be to read a part of a large body. Those that wait are not read from, so their clients wait."""

    def __init__(self) -> None:
        self._waiting: deque[Reading] = deque()

    def read_on(self, connection: Reading, loop: asyncio.AbstractEventLoop) -> None:
        """Read on from a paused connection when it is its turn."""
        if not self._waiting:
            loop.call_soon(self._next, loop)
        self._waiting.append(connection)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        connection = self._waiting.popleft()
        if self._waiting:
            loop.call_soon(self._next, loop)
        connection.resume_reading()
