"""Compression of bodies: `gzip`, or `deflate`, which is the zlib format (RFC 9110, section 8.4.1)."""

from collections.abc import Iterable, Sequence

from isal import isal_zlib

from layerscope.encode import Buffer
from layerscope.errors import BodyTooLarge, InvalidRequest, UnsupportedFormat

_WINDOW_BITS = {"gzip": 31, "deflate": 15}
"""How zlib is told the format: the size of the window in bits, and 16 more for the headers of gzip."""

_LEVEL = 1
_STEP_BYTES = 1024 * 1024


def decompress(chunks: Sequence[bytes], encoding: str, max_bytes: int) -> Sequence[bytes]:
    """Decompress the body of a request.

    Args:
        chunks: the body as it was received.
        encoding: its Content-Encoding; empty or `identity` if it is not compressed.
        max_bytes: the greatest length of the decompressed body.

    Raises:
        UnsupportedFormat: another encoding.
        InvalidRequest: the body is damaged or cut off, or has bytes behind its end.
        BodyTooLarge: the decompressed body is too long; decompression stops there.
    """
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return chunks
    if encoding not in _WINDOW_BITS:
        raise UnsupportedFormat(
            f"Content-Encoding {encoding[:80]!r} is not read here: use {' or '.join(_WINDOW_BITS)}.",
            content_encoding=encoding[:80],
        )
    try:
        return _decompress(chunks, encoding, max_bytes)
    except isal_zlib.IsalError as error:  # type: ignore[misc]  # its stub does not say that it is an exception
        raise _damaged(encoding) from error


def compress(buffers: Iterable[Buffer], encoding: str) -> list[Buffer]:
    """Compress the body of a response, at the fastest level."""
    compressor = isal_zlib.compressobj(_LEVEL, wbits=_WINDOW_BITS[encoding])
    return [*(compressor.compress(each) for each in buffers), compressor.flush()]


def accepted_encoding(accept: str) -> str | None:
    """The encoding of the response, by the request's Accept-Encoding; None for an uncompressed response.

    HTTP libraries list several encodings without being asked to, and compressing numbers takes longer than sending them.
    So a response is compressed only for a client that names a single encoding, as the protocol's clients do when their
    user asks for compression.
    """
    named = accept.strip().lower()
    return named if named in _WINDOW_BITS else None


def _decompress(chunks: Sequence[bytes], encoding: str, max_bytes: int) -> list[bytes]:
    decompressor = isal_zlib.decompressobj(wbits=_WINDOW_BITS[encoding])
    parts: list[bytes] = []
    size = 0
    for chunk in (*chunks, b""):
        if chunk and decompressor.eof:
            raise _damaged(encoding)
        rest = chunk
        while not decompressor.eof and (part := decompressor.decompress(rest, _STEP_BYTES)):
            rest = decompressor.unconsumed_tail
            size += len(part)
            if size > max_bytes:
                raise _too_large(size, max_bytes)
            parts.append(part)
    if not decompressor.eof or decompressor.unused_data:
        raise _damaged(encoding)
    return parts


def _damaged(encoding: str) -> InvalidRequest:
    return InvalidRequest(
        f"The body is not what its Content-Encoding says: it is no {encoding}, or it is damaged."
    )


def _too_large(size: int, limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body inflates to {size:,} bytes or more; at most {limit:,} are read",
        ways=("send fewer images at once", "send images as files (datatype BYTES)", "send narrower numbers"),
        bytes=size,
        limit=limit,
    )
