"""PNG encoder of 8-bit pixels with the standard library only, so that Pillow stays optional."""

import struct
import zlib
from typing import Any

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""PNG colour types of grey, grey with alpha, RGB and RGBA, by number of channels."""


def encode_png(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """Encode 8-bit pixels without loss.

    Args:
        pixels: (height, width) grey, or (height, width, channels) with 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.

    Raises:
        ValueError: The array has another shape or no pixels.
    """
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in _COLOUR_TYPES or pixels.size == 0:
        raise ValueError(
            "An array of pixels must have the shape (height, width) or (height, width, 1 to 4 channels), "
            f"not {pixels.shape}. Several images go in a list."
        )
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    data = zlib.compress(rows.tobytes())
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
