"""Bodies that are compressed: `gzip`, or `deflate`, which is the zlib format (RFC 9110, section 8.4.1)."""

from collections.abc import Iterable, Sequence

from isal import isal_zlib

from layerscope.encode import Piece
from layerscope.errors import BodyTooLarge, InvalidRequest, UnsupportedFormat

_WINDOWS = {"gzip": 31, "deflate": 15}
"""How zlib is told a format: as the size of the window, in bits, and 16 for the headers of gzip."""

_LEVEL = 1
_STEP = 1024 * 1024


def inflated(chunks: Sequence[bytes], encoding: str, most_bytes: int) -> Sequence[bytes]:
    """A request's body as it was before it was compressed.

    Args:
        chunks: the body as it came.
        encoding: its Content-Encoding; empty or `identity` if it is not compressed.
        most_bytes: what it may be long.

    Raises:
        UnsupportedFormat: another encoding.
        InvalidRequest: it is damaged or cut off, or something comes after it.
        BodyTooLarge: it becomes too long; no more than that is inflated.
    """
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return chunks
    if encoding not in _WINDOWS:
        raise UnsupportedFormat(
            f"Content-Encoding {encoding[:80]!r} is not read here: use {' or '.join(_WINDOWS)}.",
            content_encoding=encoding[:80],
        )
    try:
        return _inflated(chunks, encoding, most_bytes)
    except isal_zlib.IsalError as error:  # type: ignore[misc]  # its stub does not say that it is one
        raise _damaged(encoding) from error


def deflated(pieces: Iterable[Piece], encoding: str) -> list[Piece]:
    """A response's body, compressed quickly."""
    packer = isal_zlib.compressobj(_LEVEL, wbits=_WINDOWS[encoding])
    return [*(packer.compress(piece) for piece in pieces), packer.flush()]


def asked_encoding(accept: str) -> str | None:
    """The encoding that a client wants its answer in, by its Accept-Encoding.

    HTTP libraries list several without being asked to, and to compress numbers takes longer than to send them: only who
    names one encoding, as clients of the protocol do when they are told to, is taken at their word.
    """
    asked = accept.strip().lower()
    return asked if asked in _WINDOWS else None


def _inflated(chunks: Sequence[bytes], encoding: str, most_bytes: int) -> list[bytes]:
    unpacker = isal_zlib.decompressobj(wbits=_WINDOWS[encoding])
    parts: list[bytes] = []
    size = 0
    for chunk in (*chunks, b""):
        if chunk and unpacker.eof:
            raise _damaged(encoding)
        rest = chunk
        while not unpacker.eof and (part := unpacker.decompress(rest, _STEP)):
            rest = unpacker.unconsumed_tail
            size += len(part)
            if size > most_bytes:
                raise _too_large(size, most_bytes)
            parts.append(part)
    if not unpacker.eof or unpacker.unused_data:
        raise _damaged(encoding)
    return parts


def _damaged(encoding: str) -> InvalidRequest:
    return InvalidRequest(
        f"The body is not what its Content-Encoding says: it is no {encoding}, or it is damaged."
    )


def _too_large(size: int, most_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body inflates to {size:,} bytes or more; at most {most_bytes:,} are read",
        ways=("send fewer images at once", "send images as files (datatype BYTES)", "send narrower numbers"),
        bytes=size,
        limit=most_bytes,
    )
