"""A response that sends its body from a list of buffers, without joining them in memory first."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterator, Mapping, Sequence

from fastapi import Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from layerscope.encode import Buffer
from layerscope.execution.working_memory import Account

_CHUNK_BYTES = 1024 * 1024

_BUFFERED_BYTES = 64 * 1024
"""What a transport takes without waiting for the client."""

PERIODS = 60
"""The most periods of `receiver_milliseconds` in which an answer is taken."""


class BuffersResponse(Response):
    """A response of known length whose body is a list of buffers. It is sent once, and each buffer is released when it is sent.

    Args:
        buffers: the body; they must not change until it is sent.
        media_type: the media type of the body.
        headers: further headers.
        account: counts what is not sent yet.
        receiver_seconds: in `PERIODS` times so many seconds, a client must have taken the whole body, and each part of it in that
            part of the time; None for as long as it wants.
    """

    def __init__(
        self,
        buffers: Sequence[Buffer],
        media_type: str,
        headers: Mapping[str, str],
        account: Account | None = None,
        receiver_seconds: float | None = None,
    ) -> None:
        self._buffers = deque(buffers)
        self._length = sum(memoryview(buffer).nbytes for buffer in buffers)
        self._account = account
        self._receiver_seconds = receiver_seconds
        super().__init__(headers={**headers, "Content-Length": str(self._length)}, media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the body in chunks; the server holds one chunk at a time.

        Raises:
            ClientDisconnect: the client takes the body too slowly.
        """
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        began = asyncio.get_running_loop().time()
        sent = given_back = 0
        for chunk in _chunks(self._buffers):
            sent += len(chunk)
            # The server holds the last chunk, too, until the client has taken most of it: an empty message waits for that.
            is_last = sent == self._length <= _BUFFERED_BYTES
            message = {"type": "http.response.body", "body": chunk, "more_body": not is_last}
            await self._sent_in_time(send(message), began, sent)
            # The server takes a chunk when the client has taken the one before.
            self._give_back(sent - len(chunk) - given_back)
            given_back = sent - len(chunk)
            if sent < self._length:
                # The server does not wait for a client that has gone, and the rest of a long body would block the others.
                await asyncio.sleep(0)
        if self._length > _BUFFERED_BYTES:
            last = {"type": "http.response.body", "body": b"", "more_body": False}
            await self._sent_in_time(send(last), began, self._length)
        self._give_back(self._length - given_back)

    def _give_back(self, size: int) -> None:
        if self._account is not None and size:
            self._account.sent(size)

    async def _sent_in_time(self, sending: Awaitable[None], began: float, size: int) -> None:
        """Wait for a part of the body to be sent, of which `size` bytes are then on their way."""
        if self._receiver_seconds is None or self._length <= _CHUNK_BYTES:
            # The deadline of the transport is enough for a body of one chunk.
            await sending
            return
        seconds = self._receiver_seconds * (1 + PERIODS * size / self._length)
        try:
            async with asyncio.timeout_at(began + seconds):
                await sending
        except TimeoutError as error:
            raise ClientDisconnect from error


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
