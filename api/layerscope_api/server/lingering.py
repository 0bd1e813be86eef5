"""A transport that closes gently, and gives up on a client that does not take its answer."""

import asyncio
from collections.abc import Callable
from typing import Any

_LINGER_SECONDS = 5
_LONGEST_LINGER_SECONDS = 30
"""How long a connection is still read after it was closed for sending: while something comes, and how long in all."""

_PROGRESS_BYTES = 64 * 1024


class LingeringTransport:
    """A transport with a lingering close: it ends sending at once, and reads on for a while if the client still sends.

    It also has a deadline for the receiver: a client that does not take its answer is given up, whatever is left of it.

    If a socket is closed while received bytes are unread, the kernel sends RST instead of FIN. A client that gets an RST
    discards the bytes it has not read yet, and these are the error response that says why a long body was refused. So the
    rest of the request is received, and the protocol discards it.

    Args:
        transport: the transport of the connection.
        loop: its event loop.
        is_sending: whether the client has not sent all of its request.
        receiver_seconds: within each period of so many seconds, the client must take 64 KiB or what there is.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        is_sending: Callable[[], bool],
        receiver_seconds: float,
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._is_sending = is_sending
        self._receiver_seconds = receiver_seconds
        self._end: asyncio.TimerHandle | None = None
        self._linger_until = 0.0
        self._has_come = False
        self._deadline: asyncio.TimerHandle | None = None
        self._written = 0
        self._taken_before = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send bytes; start the deadline of the receiver if they are not all on their way."""
        self._transport.write(data)
        self._written += len(data)
        if self._deadline is None and self._transport.get_write_buffer_size():
            self._start_deadline()

    def release(self) -> None:
        """Stop the deadline, and let go of the protocol: the connection is lost."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._is_sending = _is_sending_nothing

    def _taken(self) -> int:
        """The bytes that the client, or the buffers of the system, have taken."""
        return self._written - self._transport.get_write_buffer_size()

    def _start_deadline(self) -> None:
        self._taken_before = self._taken()
        self._deadline = self._loop.call_later(self._receiver_seconds, self._expire)

    def _expire(self) -> None:
        self._deadline = None
        if not self._transport.get_write_buffer_size():
            return
        if self._taken() - self._taken_before >= _PROGRESS_BYTES:
            self._start_deadline()
        else:
            self._transport.abort()

    def is_closing(self) -> bool:
        """Whether the transport is closed for sending."""
        return self._end is not None or self._transport.is_closing()

    def close(self) -> None:
        """Send the buffered bytes and close: at once, or, if the client still sends, when it has ended or the time is over.

        A second call closes at once.
        """
        if self.is_closing() or not self._is_sending() or not self._transport.can_write_eof():
            self.close_now()
            return
        self._transport.write_eof()
        self._transport.resume_reading()
        self._linger_until = self._loop.time() + _LONGEST_LINGER_SECONDS
        self._end = self._loop.call_later(_LINGER_SECONDS, self._linger)

    def note_discarded(self) -> None:
        """Note that something came while the connection lingers."""
        self._has_come = True

    def _linger(self) -> None:
        if self._has_come and self._loop.time() < self._linger_until:
            self._has_come = False
            self._end = self._loop.call_later(_LINGER_SECONDS, self._linger)
        else:
            self._transport.close()

    def close_now(self) -> None:
        """Send the buffered bytes, then close without lingering."""
        if self._end is not None:
            self._end.cancel()
        self._transport.close()


def _is_sending_nothing() -> bool:
    return False
