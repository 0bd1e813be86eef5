"""A job, awaited: the same calls as `Job`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from layerscope_client import _job_calls as calls
from layerscope_client._error_mapping import unreadable
from layerscope_client._job import DescribedJob
from layerscope_client._job_results import FailedImage, JobDescription, JobProgress, Row, part_rows, table_of
from layerscope_client._transport import AsyncTransport
from layerscope_client.errors import ConnectionFailed, Draining


class AsyncJob(DescribedJob):
    """A job on the service, awaited. Errors are those of `Job`."""

    def __init__(self, description: JobDescription, transport: AsyncTransport) -> None:
        super().__init__(description)
        self._transport = transport

    async def refresh(self) -> "AsyncJob":
        """See `Job.refresh`."""
        self.description = await self._transport.run(calls.described(self.id))
        return self

    async def stop(self) -> "AsyncJob":
        """See `Job.stop`."""
        self.description = await self._transport.run(calls.stop(self.id))
        return self

    async def follow(self) -> AsyncIterator[JobProgress]:
        """See `Job.follow`."""
        pauses = iter(calls.PAUSES)
        while True:
            try:
                async with self._transport.lines(calls.followed(self.id)) as (response, lines):
                    async for line in lines:
                        pauses = iter(calls.PAUSES)
                        self.description["progress"], ended = calls.event(line, response)
                        if ended is not None:
                            self.description = ended
                            return
                        yield self.progress
                    raise unreadable("its stream ends without a result")
            except (ConnectionFailed, Draining):
                seconds = next(pauses, None)
                if seconds is None:
                    raise
                await asyncio.sleep(seconds)

    async def wait(self, *, bar: bool | None = None) -> "AsyncJob":
        """See `Job.wait`."""
        with calls.drawn(bar) as draw:
            async for progress in self.follow():
                draw(progress)
            draw(self.progress)
        return self

    async def failed(self) -> list[FailedImage]:
        """See `Job.failed`."""
        return await self._transport.run(calls.failed(self.id))

    async def rows(self) -> AsyncIterator[Row]:
        """See `Job.rows`."""
        for part in calls.readable_parts(self.description):
            content = await self._transport.run(calls.part(self.id, part))
            for row in part_rows(self.description["format"], content):
                yield row

    async def dataframe(self) -> Any:
        """See `Job.dataframe`."""
        return table_of([row async for row in self.rows()])
