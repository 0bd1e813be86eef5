"""WebP files: the size, from the first chunk of the RIFF container (RFC 9649)."""

import struct

from layerscope.images.headers.header import Header, check_size
from layerscope.limits import Limits


def read_webp(data: bytes, limits: Limits) -> Header:
    """Read the size of a WebP file.

    Raises:
        ImageTooLarge: More pixels, or a longer side, than `limits` allow.
        struct.error, IndexError: The file ends early.
    """
    # The type of the first chunk is at byte 12, its content at byte 20.
    if data[12:16] == b"VP8X":
        # Extended: flags and reserved bytes, then both sides less one, in 24 bits each.
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif data[12:16] == b"VP8L":
        # Lossless: one byte of signature, then both sides less one, in 14 bits each.
        (packed,) = struct.unpack_from("<I", data, 21)
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        # Lossy: frame tag and start code, 6 bytes, then both sides in 14 bits of 16; the others are for upscaling.
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    check_size(width, height, limits)
    return Header("webp", width, height)
