"""Responses that report progress while they are computed: as server-sent events, or as lines of JSON.

A stream has one event for each progress that the client is fast enough to receive (only the newest progress is kept), and
ends with one result or one error, which has the JSON body of every error. An error before the first progress is an ordinary
error response with its status.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import orjson
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from layerscope.errors import LayerscopeError
from layerscope.execution.interface import Progress
from layerscope_api.context.account import account_of
from layerscope_api.context.worker_pool import WorkerPool
from layerscope_api.observability.request_metrics import request_metrics
from layerscope_api.responses.content_negotiation import quality_of
from layerscope_api.responses.disconnect import cancelled_on_disconnect
from layerscope_api.responses.errors import internal_error_response, layerscope_error_response
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.respond import ResponseBody

Stream = Literal["text/event-stream", "application/x-ndjson"]
Event = Literal["progress", "result", "error"]

STREAMS: tuple[Stream, ...] = ("text/event-stream", "application/x-ndjson")
"""The kinds of streams, by media type."""


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
        pool: the pool of worker threads.
        compute: makes the result, in JSON, in a worker thread; it reports its progress.
        stream: the kind of stream.
        extra_seconds: the time that it may take beyond the deadline of every request.
    """

    def __init__(
        self,
        request: Request,
        pool: WorkerPool,
        compute: Callable[[Execution, Progress], ResponseBody],
        stream: Stream,
        extra_seconds: float,
    ) -> None:
        self._request = request
        self._pool = pool
        self._compute = compute
        self._extra_seconds = extra_seconds
        self._event = _server_sent_event if stream == "text/event-stream" else _json_line
        self._newest: tuple[int, int] | None = None
        self._has_progress = asyncio.Event()
        self._metrics = request_metrics(request.scope)
        self._execution = Execution(self._metrics.stopwatch, account_of(request.scope))
        super().__init__(media_type=stream, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["Content-Length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compute the result, and send the events meanwhile."""
        loop = asyncio.get_running_loop()

        def progress(done: int, total: int) -> None:
            # Called in the worker thread; asyncio's objects may be touched in the event loop only.
            loop.call_soon_threadsafe(self._note_progress, done, total)

        async with cancelled_on_disconnect(self._request, self._execution.cancellation):
            call = self._pool.run(lambda: self._compute(self._execution, progress), self._extra_seconds)
            computation = asyncio.ensure_future(call)
            if not await self._next_progress(computation) and (error := computation.exception()):
                await self._error_response(error)(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while await self._next_progress(computation):
                await self._send(send, self._progress_event())
        await self._send(send, self._last_event(computation), more=False)

    def _note_progress(self, done: int, total: int) -> None:
        self._newest = done, total
        self._has_progress.set()

    async def _next_progress(self, computation: "asyncio.Future[ResponseBody]") -> bool:
        """Wait for progress or for the end of the computation. Returns whether there is progress to send."""
        progress = asyncio.ensure_future(self._has_progress.wait())
        either: list[asyncio.Future[Any]] = [progress, computation]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            progress.cancel()
        return self._newest is not None

    def _progress_event(self) -> bytes:
        """The newest progress, which is forgotten then."""
        done, total = self._newest or (0, 0)
        self._newest = None
        self._has_progress.clear()
        return self._event("progress", orjson.dumps({"done": done, "total": total}))

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


def _server_sent_event(event: Event, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event.encode(), data)


def _json_line(event: Event, data: bytes) -> bytes:
    """One line of JSON. An error is not wrapped: its body has the shape of every error."""
    return data + b"\n" if event == "error" else b'{"%s":%s}\n' % (event.encode(), data)
