"""A response that sends its body from a list of buffers, without joining them in memory first."""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from fastapi import Response
from starlette.types import Receive, Scope, Send

from layerscope.encode import Buffer
from layerscope.execution.working_memory import Account

_CHUNK_BYTES = 1024 * 1024


class BuffersResponse(Response):
    """A response of known length whose body is a list of buffers. It is sent once, and each buffer is released when it is sent.

    Args:
        buffers: the body; they must not change until it is sent.
        media_type: the media type of the body.
        headers: further headers.
        account: counts what is not sent yet.
    """

    def __init__(
        self,
        buffers: Sequence[Buffer],
        media_type: str,
        headers: Mapping[str, str],
        account: Account | None = None,
    ) -> None:
        self._buffers = deque(buffers)
        self._length = sum(memoryview(buffer).nbytes for buffer in buffers)
        self._account = account
        super().__init__(headers={**headers, "Content-Length": str(self._length)}, media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the body in chunks; the server holds one chunk at a time."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        left = self._length
        for chunk in _chunks(self._buffers):
            left -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})
            if self._account is not None:
                self._account.sent(len(chunk))
            if left:
                # The server does not wait for a client that has gone, and the rest of a long body would block the others.
                await asyncio.sleep(0)


def _chunks(buffers: deque[Buffer]) -> Iterator[bytes]:
    """The same bytes in chunks of equal size; only the last chunk may be shorter or empty. It empties the buffers.

    Small buffers are joined, since each chunk is one call of the server; large ones are split, so that not the whole body
    is copied at once.
    """
    parts: list[memoryview] = []
    room = _CHUNK_BYTES
    while buffers:
        rest = memoryview(buffers.popleft())
        while rest:
            if not room:
                yield b"".join(parts)
                parts, room = [], _CHUNK_BYTES
            parts.append(rest[:room])
            rest = rest[room:]
            room -= len(parts[-1])
    yield b"".join(parts)
