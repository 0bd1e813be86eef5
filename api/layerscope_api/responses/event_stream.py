"""Answers that tell how far they are while they are made: as server-sent events, or as lines of JSON.

Progress comes as often as the caller takes it, the newest only. Then comes one result, or one error in the shape of all
errors. What fails before the first progress is answered as without a stream, status and all.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import orjson
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from layerscope.errors import LayerscopeError
from layerscope.execution.interface import Progress
from layerscope_api.context.worker_pool import WorkerPool
from layerscope_api.observability.request_metrics import request_metrics
from layerscope_api.responses.content_negotiation import quality_of
from layerscope_api.responses.disconnect import cancelled_on_disconnect
from layerscope_api.responses.errors import internal_error_response, layerscope_error_response
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.respond import Answer

Stream = Literal["text/event-stream", "application/x-ndjson"]
Event = Literal["progress", "result", "error"]

STREAMS: tuple[Stream, ...] = ("text/event-stream", "application/x-ndjson")
"""The kinds of streams, by media type."""


def stream_for(accept: str | None) -> Stream | None:
    """The stream that a client asks for by name, if it does not rather have JSON."""
    named = {item.partition(";")[0].strip().lower() for item in (accept or "").split(",")}
    json = quality_of("application/json", accept) if "application/json" in named else 0.0
    asked = [each for each in STREAMS if each in named and quality_of(each, accept) > json]
    return max(asked, key=lambda each: quality_of(each, accept), default=None)


class StreamedAnswer(Response):
    """A response that is sent while it is made.

    Args:
        request: what came in.
        work: where blocking work is done.
        answer: does it until it is cancelled, and calls its progress; its result is JSON.
        stream: how it is sent.
        more: how many seconds it may take besides what every request may.
    """

    def __init__(
        self,
        request: Request,
        work: WorkerPool,
        answer: Callable[[Execution, Progress], Answer],
        stream: Stream,
        more: float,
    ) -> None:
        self._request = request
        self._work = work
        self._answer = answer
        self._more = more
        self._event = _server_sent if stream == "text/event-stream" else _line
        self._newest: tuple[int, int] | None = None
        self._told = asyncio.Event()
        self._metrics = request_metrics(request.scope)
        self._execution = Execution(self._metrics.stopwatch)
        super().__init__(media_type=stream, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["Content-Length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do the work, and send what there is to tell."""
        loop = asyncio.get_running_loop()

        def progress(done: int, total: int) -> None:
            loop.call_soon_threadsafe(self._tell, done, total)

        async with cancelled_on_disconnect(self._request, self._execution.cancellation):
            work = self._work.run(lambda: self._answer(self._execution, progress), self._more)
            working = asyncio.ensure_future(work)
            if not await self._has_news(working) and (error := working.exception()):
                await self._failure(error)(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while await self._has_news(working):
                await self._send(send, self._progress())
        await self._send(send, self._end(working), more=False)

    def _tell(self, done: int, total: int) -> None:
        self._newest = done, total
        self._told.set()

    async def _has_news(self, working: "asyncio.Future[Answer]") -> bool:
        """Wait for progress or for the end; whether there is progress to tell."""
        told = asyncio.ensure_future(self._told.wait())
        either: list[asyncio.Future[Any]] = [told, working]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
        return self._newest is not None

    def _progress(self) -> bytes:
        """The newest, of which there is none then."""
        done, total = self._newest or (0, 0)
        self._newest = None
        self._told.clear()
        return self._event("progress", orjson.dumps({"done": done, "total": total}))

    def _end(self, working: "asyncio.Future[Answer]") -> bytes:
        error = working.exception()
        if error is not None:
            return self._event("error", bytes(self._failure(error).body))
        done = working.result()
        self._metrics.answered(done.model, done.activations, self._execution.timings)
        return self._event("result", b"".join(bytes(buffer) for buffer in done.buffers))

    def _failure(self, error: BaseException) -> Response:
        if isinstance(error, LayerscopeError):
            return layerscope_error_response(self._request, error)
        if not isinstance(error, Exception):
            raise error
        return internal_error_response(self._request, error)

    @staticmethod
    async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
        await send({"type": "http.response.body", "body": body, "more_body": more})


def _server_sent(event: Event, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event.encode(), data)


def _line(event: Event, data: bytes) -> bytes:
    """An error stands for itself, in its own shape."""
    return data + b"\n" if event == "error" else b'{"%s":%s}\n' % (event.encode(), data)
