"""The progress of a job as a stream, until its end: the events are those of `event_stream`.

Nothing waits for the client: the job runs in a process of its own, and a stream only looks at what that has written. A client that
disconnects costs nothing, and one that comes again sees the newest progress first.
"""

import asyncio
import time
from collections.abc import Callable

import orjson
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from layerscope.errors import Draining, JobNotFound, LayerscopeError, error_with_code
from layerscope_api.responses.errors import layerscope_error_response
from layerscope_api.responses.event_stream import Stream, writer_of
from layerscope_api.schemas.jobs import JobBody

_LOOK_SECONDS = 0.25

_SILENCE_SECONDS = 15.0
"""Proxies close connections on which nothing comes; the newest progress is sent again before."""


class JobStreamResponse(Response):
    """A response that lasts as long as a job.

    Args:
        request: the HTTP request.
        read: the job as it is now; it is called in a thread.
        is_draining: whether the service is about to end.
        stream: the kind of stream.
    """

    def __init__(
        self, request: Request, read: Callable[[], JobBody], is_draining: Callable[[], bool], stream: Stream
    ) -> None:
        self._request = request
        self._read = read
        self._is_draining = is_draining
        self._write = writer_of(stream)
        super().__init__(media_type=stream, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["Content-Length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - that of ASGI
        """Send progress whenever there is some, and the job at its end."""
        gone = asyncio.ensure_future(_disconnect(receive))
        last, sent = b"", 0.0
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while (end := self._end_of(job := await self._job())) is None:
                progress = self._progress(job)
                if progress != last or time.monotonic() - sent > _SILENCE_SECONDS:
                    await send({"type": "http.response.body", "body": progress, "more_body": True})
                    last, sent = progress, time.monotonic()
                if (await asyncio.wait({gone}, timeout=_LOOK_SECONDS))[0]:
                    return
            await send({"type": "http.response.body", "body": end})
        finally:
            gone.cancel()

    async def _job(self) -> JobBody | LayerscopeError:
        if self._is_draining():
            return Draining("The service is about to end: ask again, and the progress goes on.")
        try:
            return await asyncio.to_thread(self._read)
        except JobNotFound as error:
            return error

    def _progress(self, job: JobBody | LayerscopeError) -> bytes:
        assert isinstance(job, JobBody)  # noqa: S101 - errors are the end
        return self._write("progress", orjson.dumps({"state": job.state, **job.progress.model_dump()}))

    def _end_of(self, job: JobBody | LayerscopeError) -> bytes | None:
        """The last event; None while the job goes on."""
        if isinstance(job, JobBody) and job.error is not None:
            job = error_with_code(job.error.code, job.error.message, job.error.details)
        if isinstance(job, LayerscopeError):
            return self._write("error", bytes(layerscope_error_response(self._request, job).body))
        if job.state in {"waiting", "running"}:
            return None
        return self._write("result", job.model_dump_json().encode())


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
