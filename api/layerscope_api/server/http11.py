"""HTTP/1.1 on a connection, with bounds: how long headers may be, and how slowly a request may come."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import h11
import orjson
from uvicorn.protocols.http.h11_impl import H11Protocol

from layerscope.errors import HeadersTooLarge, InvalidRequest, LayerscopeError, SlowSender
from layerscope.limits import Limits
from layerscope_api.responses.errors import error_body, status_of

_LINGERING_SECONDS = 5
_PROGRESS_BYTES = 64 * 1024
_FIELD_OVERHEAD_BYTES = 4


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol, which waits for ever and reads headers of any length that come in one piece.

    Headers must be there within `sender_milliseconds`; so must each further 64 KiB of a body, or its end. Time in which the
    service itself does not read on does not count.
    """

    def __init__(self, limits: Limits, **wiring: Any) -> None:
        super().__init__(**wiring)
        self.conn: h11.Connection = _BoundedConnection(limits.header_bytes)
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None
        self._received = 0
        self._received_before = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        # Called like one, without being one: asyncio's own cannot be derived from.
        lingering: Any = LingeringTransport(transport, self.loop, self._is_receiving)
        super().connection_made(lingering)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for the rest if that was not all."""
        if self.transport.is_closing():
            return
        self._received += len(data)
        super().data_received(data)
        if not (self._awaits_body() or self._awaits_headers()):
            self._wait_no_more()
        elif self._deadline is None:
            self._wait()

    def on_response_complete(self) -> None:
        """Wait for the rest of a next request that came while this one was answered."""
        super().on_response_complete()
        if self._deadline is None and self._awaits_headers():
            self._wait()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - a text for logs
        """Answer what is not HTTP, in the shape of all errors."""
        hint = self.conn.hint if isinstance(self.conn, _BoundedConnection) else 400
        if hint == 431:
            most = self._limits.header_bytes
            error: LayerscopeError = HeadersTooLarge(
                f"The request line and headers are longer than {most:,} bytes: options fit into a body, too.",
                limit=most,
            )
        else:
            error = InvalidRequest("This is not HTTP/1.1: well-formed lines and one Host header are needed.")
        self._refuse(error)

    def _is_receiving(self) -> bool:
        return self.conn.their_state in {h11.SEND_BODY, h11.ERROR}

    def _awaits_headers(self) -> bool:
        return self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])

    def _awaits_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY

    def _wait(self) -> None:
        self._received_before = self._received
        self._deadline = self.loop.call_later(self._limits.sender_milliseconds / 1000, self._expire)

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        progress = self._received - self._received_before
        if self._awaits_body() and (self.flow.read_paused or progress >= _PROGRESS_BYTES):
            self._wait()
        elif self._awaits_body() or self._awaits_headers():
            seconds = self._limits.sender_milliseconds / 1000
            self._refuse(
                SlowSender(
                    f"The request did not arrive within {seconds:g} seconds, nor enough of it to wait on.",
                    limit=self._limits.sender_milliseconds,
                )
            )
        elif not self._received:
            self.timeout_keep_alive_handler()

    def _refuse(self, error: LayerscopeError) -> None:
        """Answer, unless an answer has begun, and close."""
        cycle = self.cycle
        is_open = cycle is not None and not cycle.response_complete
        if is_open:
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            known = cycle.scope.get("request_id") if is_open else None
            self.transport.write(self._answer(error, str(known or uuid.uuid4().hex)))
        self.transport.close()

    def _answer(self, error: LayerscopeError, request_id: str) -> bytes:
        body = orjson.dumps(error_body(request_id, error.code, error.message, error.details))
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Request-Id", request_id),
        ]
        events = (h11.Response(status_code=status_of(error), headers=headers), h11.Data(data=body))
        return b"".join(self.conn.send(event) or b"" for event in (*events, h11.EndOfMessage()))


class _BoundedConnection(h11.Connection):
    """h11 bounds what is incomplete; this bounds headers that came whole, too, and remembers what was wrong."""

    hint = 400

    def __init__(self, header_bytes: int) -> None:
        super().__init__(h11.SERVER, header_bytes)
        self._header_bytes = header_bytes

    def next_event(self) -> Any:
        """The next event.

        Raises:
            RemoteProtocolError: what came is not HTTP, or its headers are too long.
        """
        try:
            event = super().next_event()
            if isinstance(event, h11.Request) and _size(event) > self._header_bytes:
                raise h11.RemoteProtocolError("headers too long", 431)
        except h11.RemoteProtocolError as error:
            self.hint = error.error_status_hint
            raise
        return event


def _size(request: h11.Request) -> int:
    fields = sum(len(name) + len(value) + _FIELD_OVERHEAD_BYTES for name, value in request.headers)
    return len(request.target) + fields


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
        self._end = self._loop.call_later(_LINGERING_SECONDS, self._transport.close)

    def close_now(self) -> None:
        """Send what is to be sent, then close."""
        if self._end is not None:
            self._end.cancel()
        self._transport.close()
