"""BMP files: size and compression, from the header after the 14 bytes of the file header."""

import struct

from layerscope.errors import UnsupportedImage
from layerscope.images.headers.header import Header, check_size
from layerscope.limits import Limits

_CORE_HEADER_BYTES = 12
_RUN_LENGTH = (1, 2)
"""Compression methods of run lengths, BI_RLE8 and BI_RLE4."""


def read_bmp(data: bytes, limits: Limits) -> Header:
    """Read the size of a BMP file. Run-length encoding is refused: Pillow decodes it in Python, 11 KB in five seconds.

    Raises:
        ImageTooLarge: More pixels, or a longer side, than `limits` allow.
        UnsupportedImage: The pixels are run-length encoded.
        struct.error, IndexError: The file ends early.
    """
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    if header_bytes == _CORE_HEADER_BYTES:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        # A negative height means rows from the top down.
        width, height = struct.unpack_from("<Ii", data, 18)
        (compression,) = struct.unpack_from("<I", data, 30)
        if compression in _RUN_LENGTH:
            message = "Run-length encoded BMP is not decoded: save the image as PNG."
            raise UnsupportedImage(message, format="bmp")
    check_size(width, abs(height), limits)
    return Header("bmp", width, abs(height))
