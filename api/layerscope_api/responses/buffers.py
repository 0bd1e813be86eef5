"""A response whose body is sent from where it lies in memory, without being put together first."""

from collections.abc import Iterator, Mapping, Sequence

from fastapi import Response
from starlette.types import Receive, Scope, Send

from layerscope.encode import Piece

_CHUNK_BYTES = 1024 * 1024


class PiecesResponse(Response):
    """A response that knows its length.

    Args:
        pieces: the body; they must not change until it is sent.
        media_type: what the body is.
        headers: further headers.
    """

    def __init__(self, pieces: Sequence[Piece], media_type: str, headers: Mapping[str, str]) -> None:
        self._pieces = pieces
        self._length = sum(memoryview(piece).nbytes for piece in pieces)
        super().__init__(headers={**headers, "Content-Length": str(self._length)}, media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send it, one chunk in the hands of the server at a time."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        left = self._length
        for chunk in _chunks(self._pieces):
            left -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})


def _chunks(pieces: Sequence[Piece]) -> Iterator[bytes]:
    """The same bytes, cut and put together so that no chunk is too long, and only the last one short or empty."""
    parts: list[memoryview] = []
    room = _CHUNK_BYTES
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            if not room:
                yield b"".join(parts)
                parts, room = [], _CHUNK_BYTES
            parts.append(rest[:room])
            rest = rest[room:]
            room -= len(parts[-1])
    yield b"".join(parts)
