"""PNG files: size and bit depth from IHDR, and the checksum of every chunk (https://www.w3.org/TR/png-3/)."""

import struct
import zlib
from collections.abc import Iterator

from layerscope.images.headers.header import MAX_BLOCKS, Header, check_count, check_size, unreadable
from layerscope.limits import Limits

_SIGNATURE_BYTES = 8


def read_png(data: bytes, limits: Limits) -> Header:
    """Read the header of a PNG file and walk through all its chunks up to IEND.

    Raises:
        ImageUnreadable: A checksum is wrong, or IEND is missing.
        ImageTooLarge: More pixels, or a longer side, than `limits` allow.
        ImageTooComplex: More than `MAX_BLOCKS` chunks.
        struct.error, IndexError: The file ends early.
    """
    # IHDR is the first chunk: 8 bytes of signature, 4 of length, 4 of type, then width, height and bit depth.
    width, height, bits = struct.unpack_from(">IIB", data, 16)
    check_size(width, height, limits)
    for count, kind in enumerate(_chunks(data), 1):
        check_count("png", "chunks", count, MAX_BLOCKS)
        if kind == b"IEND":
            return Header("png", width, height, bits=bits)
    raise unreadable("png")


def _chunks(data: bytes) -> Iterator[bytes]:
    """Yield the type of every chunk, with its checksum verified.

    Pillow does not verify the checksums of pixel data, so that a damaged file would be decoded to wrong pixels.
    """
    view = memoryview(data)
    position = _SIGNATURE_BYTES
    while position < len(data):
        # A chunk is 4 bytes of length, 4 of type, the data, and a CRC-32 of type and data.
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 8 + length
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(view[position + 4 : end]) != checksum:
            raise unreadable("png")
        yield data[position + 4 : position + 8]
        position = end + 4
