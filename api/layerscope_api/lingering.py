"""Connections that are closed so that their last answer arrives."""

import asyncio
from collections.abc import Callable
from typing import Any

_SECONDS = 5


class LingeringTransport:
    """A transport that, closed while the other side still sends, tells the end and reads on for a while.

    A socket that is closed with data unread resets its connection, and whoever is told so forgets what came before it:
    why a long body was refused. What is read meanwhile goes to the protocol, which has to forget it.

    Args:
        transport: the connection.
        loop: its event loop.
        is_sending: tells whether the other side has not sent all of its request.
    """

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, is_sending: Callable[[], bool]
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._is_sending = is_sending
        self._end: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._end is not None or self._transport.is_closing()

    def close(self) -> None:
        """Send what is to be sent; then close, at once or after a while. A second time closes at once."""
        if self.is_closing() or not self._is_sending() or not self._transport.can_write_eof():
            self.close_now()
            return
        self._transport.write_eof()
        self._transport.resume_reading()
        self._end = self._loop.call_later(_SECONDS, self._transport.close)

    def close_now(self) -> None:
        """Send what is to be sent, then close."""
        if self._end is not None:
            self._end.cancel()
        self._transport.close()
