"""Responses that report progress while they are computed: as server-sent events, or as lines of JSON.

A stream has one event for each progress that the client is fast enough to receive (only the newest is kept), for work that has
results before its end also events with those, at most four a second, and ends with one result or one error, which has the JSON
body of every error. An error before the first event is an ordinary error response with its status.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from layerscope.errors import LayerscopeError
from layerscope.execution.interface import Progress
from layerscope_api.context.account import account_of
from layerscope_api.context.service import Service
from layerscope_api.context.turns import turn_of
from layerscope_api.observability.request_metrics import request_metrics
from layerscope_api.responses.content_negotiation import quality_of
from layerscope_api.responses.disconnect import cancelled_on_disconnect
from layerscope_api.responses.errors import internal_error_response, layerscope_error_response
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.respond import Answer, ResponseBody

Stream = Literal["text/event-stream", "application/x-ndjson"]
Event = Literal["progress", "partial", "result", "error"]

STREAMS: tuple[Stream, ...] = ("text/event-stream", "application/x-ndjson")
"""The kinds of streams, by media type."""

_PARTIAL_SECONDS = 0.25
"""The least time between two events with results before the end."""


@dataclass(frozen=True)
class Events:
    """What a computation can send before its end. Both may be called from its worker thread.

    Attributes:
        progress: sends how much is done.
        partial: sends results so far, which a function makes if it is time for such an event.
    """

    progress: Progress
    partial: Callable[[Callable[[], Any]], None]


def requested_stream(accept: str | None) -> Stream | None:
    """The stream that the Accept header names, unless it prefers JSON. A wildcard does not ask for a stream."""
    named = {item.partition(";")[0].strip().lower() for item in (accept or "").split(",")}
    json = quality_of("application/json", accept) if "application/json" in named else 0.0
    acceptable = [each for each in STREAMS if each in named and quality_of(each, accept) > json]
    return max(acceptable, key=lambda each: quality_of(each, accept), default=None)


class EventStreamResponse(Response):
    """A response that is sent while it is computed.

    Args:
        request: the HTTP request; if its client disconnects, the computation is cancelled.
        service: the worker pools.
        compute: makes the result, in JSON, in a worker thread; it sends events meanwhile.
        stream: the kind of stream.
        extra_seconds: the time that it may take beyond the deadline of every request.
    """

    def __init__(
        self,
        request: Request,
        service: Service,
        compute: Callable[[Execution, Events], Answer],
        stream: Stream,
        extra_seconds: float,
    ) -> None:
        self._request = request
        self._service = service
        self._compute = compute
        self._extra_seconds = extra_seconds
        self._event = writer_of(stream)
        self._newest: dict[Event, bytes] = {}
        self._has_news = asyncio.Event()
        self._metrics = request_metrics(request.scope)
        self._execution = Execution(
            self._metrics.stopwatch, account_of(request.scope), turn_of(request.scope)
        )
        super().__init__(media_type=stream, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["Content-Length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compute the result, and send the events meanwhile."""
        events = self._events(asyncio.get_running_loop())
        async with cancelled_on_disconnect(self._request, self._execution.cancellation):
            call = self._service.computed(lambda: self._compute(self._execution, events), self._extra_seconds)
            computation = asyncio.ensure_future(call)
            if not await self._has_event(computation) and (error := computation.exception()):
                await self._error_response(error)(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while await self._has_event(computation):
                await self._send(send, self._newest_events())
        await self._send(send, self._last_event(computation), more=False)

    def _events(self, loop: asyncio.AbstractEventLoop) -> Events:
        """What the computation calls in its worker thread. The objects of asyncio may be touched in the event loop only."""
        last = 0.0

        def progress(done: int, total: int) -> None:
            data = orjson.dumps({"done": done, "total": total})
            loop.call_soon_threadsafe(self._note, "progress", data)

        def partial(make: Callable[[], Any]) -> None:
            nonlocal last
            if time.monotonic() - last >= _PARTIAL_SECONDS:
                last = time.monotonic()
                loop.call_soon_threadsafe(self._note, "partial", orjson.dumps(make()))

        return Events(progress, partial)

    def _note(self, event: Event, data: bytes) -> None:
        self._newest[event] = data
        self._has_news.set()

    async def _has_event(self, computation: "asyncio.Future[ResponseBody]") -> bool:
        """Wait for an event or for the end of the computation. Returns whether there is an event to send."""
        news = asyncio.ensure_future(self._has_news.wait())
        either: list[asyncio.Future[Any]] = [news, computation]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        return bool(self._newest)

    def _newest_events(self) -> bytes:
        """The newest event of each kind, which are forgotten then."""
        newest, self._newest = self._newest, {}
        self._has_news.clear()
        return b"".join(self._event(event, data) for event, data in newest.items())

    def _last_event(self, computation: "asyncio.Future[ResponseBody]") -> bytes:
        error = computation.exception()
        if error is not None:
            return self._event("error", bytes(self._error_response(error).body))
        body = computation.result()
        self._metrics.answered(body.model, body.activations, self._execution.timings)
        return self._event("result", b"".join(bytes(buffer) for buffer in body.buffers))

    def _error_response(self, error: BaseException) -> Response:
        if isinstance(error, LayerscopeError):
            return layerscope_error_response(self._request, error)
        if not isinstance(error, Exception):
            raise error
        return internal_error_response(self._request, error)

    @staticmethod
    async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
        await send({"type": "http.response.body", "body": body, "more_body": more})


def writer_of(stream: Stream) -> Callable[[Event, bytes], bytes]:
    """What makes an event of a stream from its kind and its JSON."""
    return _server_sent_event if stream == "text/event-stream" else _json_line


def _server_sent_event(event: Event, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event.encode(), data)


def _json_line(event: Event, data: bytes) -> bytes:
    """One line of JSON. An error is not wrapped: its body has the shape of every error."""
    return data + b"\n" if event == "error" else b'{"%s":%s}\n' % (event.encode(), data)
