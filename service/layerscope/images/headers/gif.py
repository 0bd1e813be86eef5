"""GIF files: the size of the screen and of the first frame, and the number of frames and sub-blocks (GIF89a)."""

import struct
from collections.abc import Iterator

from layerscope.images.headers.header import Header, check_count, check_size, unreadable
from layerscope.limits import Limits

MAX_SUB_BLOCKS = 262_144
"""Most sub-blocks of a GIF: about what a 64 MiB file of full sub-blocks has."""

_EXTENSION = 0x21
_FRAME = 0x2C
_TRAILER = 0x3B
_SCREEN_BYTES = 13
"""Signature (6 bytes), screen size (4), flags, background colour and aspect ratio."""


def read_gif(data: bytes, limits: Limits) -> Header:
    """Read the size of a GIF file's first frame and count its frames.

    Raises:
        ImageUnreadable: The file has no frame.
        ImageTooLarge: More pixels, or a longer side, than `limits` allow.
        ImageTooComplex: More than `MAX_SUB_BLOCKS` sub-blocks.
        struct.error, IndexError: The file ends early.
    """
    width, height = struct.unpack_from("<HH", data, 6)
    check_size(width, height, limits)
    frames = 0
    for left, top, frame_width, frame_height in _frames(data):
        if frames == 0:
            # Pillow enlarges the screen to a first frame that reaches beyond it: 36 bytes made it fill 169 million pixels.
            width, height = max(width, left + frame_width), max(height, top + frame_height)
            check_size(width, height, limits)
        frames += 1
    if frames == 0:
        raise unreadable("gif")
    return Header("gif", width, height, frames)


def _frames(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield left, top, width and height of every frame."""
    position = _SCREEN_BYTES + _palette_bytes(data[10])
    blocks = 0
    while position < len(data) and data[position] != _TRAILER:
        introducer = data[position]
        if introducer == _FRAME:
            yield struct.unpack_from("<4H", data, position + 1)
            # Introducer, box, flags, and the code size with which the compressed pixels begin.
            position += 11 + _palette_bytes(data[position + 9])
        elif introducer == _EXTENSION:
            position += 2
        else:
            return  # as browsers do: an unknown block ends the file
        # The content of a frame or extension is a chain of sub-blocks, each after its length; length 0 ends it.
        length = -1
        while length:
            length = data[position]
            position += length + 1
            blocks += 1
            check_count("gif", "sub-blocks", blocks, MAX_SUB_BLOCKS)


def _palette_bytes(flags: int) -> int:
    """Bytes of a colour table: 3 for each of 2 to the power of (n + 1) colours, n in the lowest three bits of the flags."""
    return 6 << (flags & 7) if flags & 0x80 else 0
