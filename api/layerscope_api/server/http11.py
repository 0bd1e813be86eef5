"""The HTTP/1.1 protocol of a connection, with limits on the length of headers and on the slowness of a sender and a receiver.

uvicorn's protocol reads with h11. It waits without a limit for the rest of a request, and h11 bounds only headers that are
incomplete: a long header that arrives in one read is accepted. Both let a client hold connections and memory cheaply
(the "slow loris" attack).
"""

import asyncio
import re
import uuid
from collections.abc import Callable, Container, Iterable
from typing import Any

import h11
import orjson
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

from layerscope.errors import HeadersTooLarge, InvalidRequest, LayerscopeError
from layerscope.limits import Limits
from layerscope_api.requests.slow_sender import SERVER_BOUNDS_SENDERS, progress_bytes, slow_sender
from layerscope_api.responses.errors import error_body, status_of
from layerscope_api.server.connections import Connections
from layerscope_api.server.large_bodies import LARGE_BYTES, LargeBodies
from layerscope_api.server.lingering import LingeringTransport

_TWO_READINGS = re.compile(rb"(?<!\r)\n|\n[ \t]")
"""A line that ends without CR, or that continues the one before."""

_HEAD_END = re.compile(rb"\n\r?\n")

_HEADER_SEPARATORS_BYTES = 4
"""The bytes of a header line besides its name and value: colon, space, CR and LF."""


class BoundedProtocol(H11Protocol):
    """uvicorn's h11 protocol with a deadline for the sender and a limit on headers.

    The headers must arrive within `sender_milliseconds`, and so must each further part of a body, or its end: 64 KiB, or more
    where the service holds much of it already. Time in which the service itself has paused reading does not count.

    Args:
        limits: the bounds in force.
        open_connections: the connections of the process.
        large_bodies: those of them that receive large bodies.
        origins: the origins whose pages may read what is answered here, before there is an application to ask; `*` for all.
        wiring: the arguments of uvicorn's protocol.
    """

    def __init__(
        self,
        limits: Limits,
        open_connections: Connections,
        large_bodies: LargeBodies,
        origins: Container[str] = (),
        **wiring: Any,
    ) -> None:
        super().__init__(**wiring)
        self.app_state = {**self.app_state, SERVER_BOUNDS_SENDERS: True}
        self.conn: h11.Connection = _BoundedConnection(limits.header_bytes)
        self._origins = origins
        self._limits = limits
        self._open_connections = open_connections
        self._large_bodies = large_bodies
        self._deadline: asyncio.TimerHandle | None = None
        self._received = 0
        self._received_before = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the deadline of the first request."""
        # `Any`, because it forwards to the transport and is none itself: those of asyncio cannot be derived from.
        closing_gently: Any = LingeringTransport(
            transport, self.loop, self._is_receiving, self._limits.receiver_milliseconds / 1000
        )
        super().connection_made(closing_gently)
        self.flow = _FairFlow(closing_gently, self._read_on)
        self._start_deadline()
        self._open_connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the deadlines, and let go of the request, which would live on until the garbage collector comes."""
        self._open_connections.remove(self)
        self._stop_deadline()
        super().connection_lost(exc)
        transport: Any = self.transport
        transport.release()
        # Its type does not say so, but uvicorn begins with None, too.
        self.cycle = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Parse the bytes; start the deadline if the request is not complete, stop it if it is."""
        if self.transport.is_closing():
            self._discard()
            return
        self._open_connections.note(self)
        self._received += len(data)
        super().data_received(data)
        if not (self._awaits_body() or self._awaits_headers()):
            self._stop_deadline()
        elif self._deadline is None:
            self._start_deadline()

    def on_response_complete(self) -> None:
        """Start the deadline if a part of the next request arrived while this one was answered (HTTP pipelining)."""
        super().on_response_complete()
        # What came before was another request's.
        self._received_before -= self._received
        self._received = 0
        if self._deadline is None and self._awaits_headers():
            self._start_deadline()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - a text for logs
        """Answer a request that is not valid HTTP/1.1, with the JSON body of every error."""
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

    @property
    def is_idle(self) -> bool:
        """Whether there is no request, or not the whole head of one."""
        return self.transport.is_closing() or self.cycle is None or self.cycle.response_complete

    @property
    def waits_for_client(self) -> bool:
        """Whether nothing is done until the client sends more of its request, or takes more of its answer."""
        awaits_body = self._awaits_body() and not self.flow.read_paused
        return self.is_idle or awaits_body or self.flow.write_paused

    def give_up(self) -> None:
        """Close the connection at once: its file is needed for another."""
        self.transport.abort()

    def _read_on(self) -> None:
        """Read on: at once, or, where much of a body has come already, when it is the turn of this connection."""
        if self._received > LARGE_BYTES:
            self._large_bodies.read_on(self.transport, self.loop)
        else:
            self.transport.resume_reading()

    def _discard(self) -> None:
        """Read on when it is the turn of this connection: what comes is the rest of a request that is answered already."""
        transport: Any = self.transport
        transport.note_discarded()
        transport.pause_reading()
        self._large_bodies.read_on(transport, self.loop)

    def _is_receiving(self) -> bool:
        return self.conn.their_state in {h11.SEND_BODY, h11.ERROR}

    def _awaits_headers(self) -> bool:
        return self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])

    def _awaits_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY

    def _start_deadline(self) -> None:
        self._received_before = self._received
        self._deadline = self.loop.call_later(self._limits.sender_milliseconds / 1000, self._expire)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        progress = self._received - self._received_before
        is_fast = progress >= progress_bytes(self._received, self._limits)
        if self._awaits_body() and (is_fast or self.flow.read_paused):
            # The sender is fast enough, or the service itself does not read: another period.
            self._start_deadline()
        elif self._awaits_body() or self._awaits_headers():
            self._refuse(slow_sender(self._limits))
        elif not self._received:
            # A client that has sent nothing expects no answer: its connection is closed like an idle one.
            self.timeout_keep_alive_handler()

    def _refuse(self, error: LayerscopeError) -> None:
        """Send an error response, unless another response has begun, and close the connection."""
        cycle = self.cycle
        is_open = cycle is not None and not cycle.response_complete
        if is_open:
            # Wakes an application that waits for the rest of the body: `receive` gives it a disconnect.
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            # The middleware has given the request an id, if it was called already.
            known = cycle.scope.get("request_id") if is_open else None
            self.transport.write(self._error_response(error, str(known or uuid.uuid4().hex)))
        self.transport.close()

    def _error_response(self, error: LayerscopeError, request_id: str) -> bytes:
        body = orjson.dumps(error_body(request_id, error.code, error.message, error.details))
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Request-Id", request_id),
            *self._cors_headers(),
        ]
        events = (h11.Response(status_code=status_of(error), headers=headers), h11.Data(data=body))
        return b"".join(self.conn.send(event) or b"" for event in (*events, h11.EndOfMessage()))

    def _cors_headers(self) -> list[tuple[str, str]]:
        """What lets a page of another origin read an error, if it may, and if the headers say whose page it is."""
        if "*" in self._origins:
            return [("Access-Control-Allow-Origin", "*")]
        headers = self.conn.refused_headers if isinstance(self.conn, _BoundedConnection) else None
        if headers is None and self.cycle is not None and not self.cycle.response_complete:
            headers = self.headers
        origin = dict(headers or ()).get(b"origin", b"").decode("latin-1")
        is_known = bool(origin) and origin in self._origins
        return [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")] if is_known else []


class _FairFlow(FlowControl):
    """The flow control of a connection, where reading on waits for its turn.

    Args:
        transport: of the connection.
        read_on: reads on, now or later.
    """

    def __init__(self, transport: asyncio.Transport, read_on: Callable[[], None]) -> None:
        super().__init__(transport)
        self._read_on = read_on

    def resume_reading(self) -> None:
        """Read on, if reading is paused."""
        if self.read_paused:
            self.read_paused = False
            self._read_on()


class _BoundedConnection(h11.Connection):
    """An h11 connection that also bounds headers which arrived complete, and keeps the status of the last error.

    h11 compares its limit with the bytes that it cannot parse yet, so headers of any length pass if they arrive in one
    read.
    """

    hint = 400
    refused_headers: Iterable[tuple[bytes, bytes]] | None = None

    def __init__(self, header_bytes: int) -> None:
        super().__init__(h11.SERVER, header_bytes)
        self._header_bytes = header_bytes
        self._is_chunked = False
        self._tail = b""

    def receive_data(self, data: bytes) -> None:
        """Take bytes that came; of chunks, the last ones are kept, where trailers may be."""
        if self._is_chunked:
            self._tail = self._tail[-self._header_bytes :] + data
        super().receive_data(data)

    def next_event(self) -> Any:
        """The next event of the connection.

        Raises:
            RemoteProtocolError: the bytes are not valid HTTP, can be read in two ways, or the headers are too long.
        """
        unread = self.trailing_data[0] if self.their_state is h11.IDLE else b""
        try:
            event = super().next_event()
            if isinstance(event, h11.Request):
                self._check(event, unread)
            elif self._is_chunked and isinstance(event, h11.EndOfMessage):
                self._is_chunked = False
                self._check_trailers(event)
        except h11.RemoteProtocolError as error:
            self.hint = error.error_status_hint
            raise
        return event

    def _check(self, request: h11.Request, unread: bytes) -> None:
        self.refused_headers = request.headers
        if _size(request) > self._header_bytes:
            raise h11.RemoteProtocolError("headers too long", 431)
        end = _HEAD_END.search(unread)
        length = len(unread) if end is None else end.end()
        _require_one_reading(request, unread, length)
        self.refused_headers = None
        self._is_chunked = any(name == b"transfer-encoding" for name, _ in request.headers)
        self._tail = unread[length:] if self._is_chunked else b""

    def _check_trailers(self, end: h11.EndOfMessage) -> None:
        read = self._tail[: len(self._tail) - len(self.trailing_data[0])]
        self._tail = b""
        # The trailers and an empty line, and before them what ends the last chunk. More lines are folded ones.
        lines = read.rsplit(b"\n", len(end.headers) + 3)[1:]
        if _TWO_READINGS.search(b"\n".join(lines)):
            raise h11.RemoteProtocolError("bare LF, or a folded line, in trailers")
        if len(read) > self._header_bytes and _fields_size(end) > self._header_bytes:
            raise h11.RemoteProtocolError("trailers too long", 431)


def _require_one_reading(request: h11.Request, received: bytes, length: int) -> None:
    """Refuse what h11 accepts, and a proxy in front may read in another way (request smuggling).

    Args:
        request: as h11 read it.
        received: the bytes that it was read from.
        length: how many of them are its head.

    Raises:
        RemoteProtocolError: lines end without CR (RFC 9112, 2.2) or continue one another (5.2), the version is another
            than 1.0 and 1.1, or the end of the body is said twice, or in a way that HTTP/1.0 does not know (6.1).
    """
    if _TWO_READINGS.search(received, 0, length):
        raise h11.RemoteProtocolError("bare LF, or a folded line")
    if request.http_version not in {b"1.0", b"1.1"}:
        raise h11.RemoteProtocolError("another version of HTTP")
    names = {name for name, _ in request.headers}
    if b"transfer-encoding" in names and (b"content-length" in names or request.http_version == b"1.0"):
        raise h11.RemoteProtocolError("Transfer-Encoding with Content-Length, or in HTTP/1.0")


def _size(request: h11.Request) -> int:
    return len(request.target) + _fields_size(request)


def _fields_size(event: h11.Request | h11.EndOfMessage) -> int:
    return sum(len(name) + len(value) + _HEADER_SEPARATORS_BYTES for name, value in event.headers)
