"""The bound on slow senders: how much of a body must come in each period of `sender_milliseconds`."""

import asyncio

from starlette.types import Message, Receive

from layerscope.errors import SlowSender
from layerscope.limits import Limits

SERVER_BOUNDS_SENDERS = "server_bounds_senders"
"""Set in the state of a request by a server that has this bound itself, and knows when it has paused reading."""

_PROGRESS_BYTES = 64 * 1024

_PERIODS = 60
"""In so many periods of `sender_milliseconds`, as much must arrive as the service holds already."""


def progress_bytes(received: int, limits: Limits) -> int:
    """The bytes of a body that must arrive within a period of `sender_milliseconds`, where so many have come already."""
    return max(_PROGRESS_BYTES, min(received, limits.body_bytes) // _PERIODS)


def slow_sender(limits: Limits) -> SlowSender:
    """The error for a request that did not arrive in its time."""
    return SlowSender(
        f"The request did not arrive within {limits.sender_milliseconds / 1000:g} seconds, nor enough of it to wait on.",
        limit=limits.sender_milliseconds,
    )


class BoundedReceive:
    """The `receive` of a request, with the bound on slow senders. The time in which nobody receives does not count.

    Args:
        receive: that of the server.
        limits: the bounds in force.
    """

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive = receive
        self._limits = limits
        self._waited_seconds = 0.0
        self._received = 0
        self._progress = 0
        self._is_complete = False

    async def __call__(self) -> Message:
        """The next message.

        Raises:
            SlowSender: the sender is too slow.
        """
        if self._is_complete:
            return await self._receive()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._limits.sender_milliseconds / 1000 - self._waited_seconds):
                message = await self._receive()
        except TimeoutError:
            raise slow_sender(self._limits) from None
        self._note(message, loop.time() - began)
        return message

    def _note(self, message: Message, seconds: float) -> None:
        size = len(message.get("body", b""))
        self._is_complete = not message.get("more_body")
        self._received += size
        self._progress += size
        self._waited_seconds += seconds
        if self._progress >= progress_bytes(self._received, self._limits):
            self._progress, self._waited_seconds = 0, 0.0
