"""What an image file says about itself, read before any decoder sees it.

Some decoders allocate, or loop in Python, while they merely open a file: a 36-byte GIF makes Pillow fill
169 million pixels, an 11 KB run-length BMP takes it five seconds, 900 Exif segments fifteen. So the
size and the structure are bounded here first, in time linear in the file.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from layerscope.errors import ImageTooComplex, ImageTooLarge, ImageUnreadable, UnsupportedImage
from layerscope.limits import Limits

Format = Literal["png", "jpeg", "webp", "bmp", "gif"]

PILLOW_PIXELS = 178_956_970
"""Most pixels Pillow opens (twice its default `MAX_IMAGE_PIXELS`), whatever the limits in force."""

MAX_BLOCKS = 16_384
"""Most chunks of a PNG and most segments of a JPEG: twice what a 64 MiB file of 8 KiB chunks has."""

MAX_GIF_BLOCKS = 262_144
"""Most sub-blocks of a GIF: about what a 64 MiB file of full sub-blocks has."""

MAX_EXIF_SEGMENTS = 16
"""Most Exif segments of a JPEG. Pillow joins them in quadratic time; one is usual."""

MAX_JUNK = 65_536
"""Most bytes between the segments of a JPEG's header."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the bytes claim: format, size in pixels as stored, and what Pillow cannot tell cheaply.

    Attributes:
        frames: Pictures in the file; None where the decoder counts them.
        bits: Bits of one channel of one pixel, where the format has more than 8.
    """

    format: Format
    width: int
    height: int
    frames: int | None = None
    bits: int = 8


def read_header(data: bytes, limits: Limits) -> Header:
    """Recognise an image by its content and check all that is bounded before decoding.

    Raises:
        UnsupportedImage: The bytes are none of PNG, JPEG, WebP, BMP and GIF.
        ImageUnreadable: The structure is damaged or ends early.
        ImageTooLarge: It claims more pixels, or a longer side, than `limits` allow.
        ImageTooComplex: It has more scans or blocks than an image of any size needs.
    """
    name = _recognise(data)
    try:
        header = _READERS[name](data, limits)
    except (struct.error, IndexError):
        raise unreadable(name) from None
    if header.width < 1 or header.height < 1:
        raise unreadable(name)
    return header


def check_size(width: int, height: int, limits: Limits) -> None:
    """Refuse an image with too many pixels.

    Raises:
        ImageTooLarge: `details` carry the size and both limits.
    """
    pixels, limit = width * height, min(limits.image_pixels, PILLOW_PIXELS)
    if pixels <= limit and max(width, height) <= limits.image_side:
        return
    message = (
        f"The image is {width} x {height} pixels; at most {limit} pixels in all and"
        f" {limits.image_side} a side are decoded"
    )
    raise ImageTooLarge(
        message,
        ways=("scale it down", "crop it", "send it in parts"),
        width=width,
        height=height,
        pixels=pixels,
        limit_pixels=limit,
        limit_side=limits.image_side,
    )


def unreadable(name: Format) -> ImageUnreadable:
    """The error of a file that is recognised but damaged."""
    return ImageUnreadable(f"The {name.upper()} image is damaged or cut off.", format=name)


def _recognise(data: bytes) -> Format:
    for pattern, name in _SIGNATURES:
        if pattern.match(data):
            return name
    message = "The bytes are not an image: send PNG, JPEG, WebP, BMP or GIF."
    raise UnsupportedImage(message, supported=list(_READERS), bytes=len(data))


def _read_png(data: bytes, limits: Limits) -> Header:
    width, height, bits = struct.unpack_from(">IIB", data, 16)
    check_size(width, height, limits)
    for count, kind in enumerate(_png_chunks(data), 1):
        _check_count("png", "chunks", count, MAX_BLOCKS)
        if kind == b"IEND":
            return Header("png", width, height, bits=bits)
    raise unreadable("png")


def _png_chunks(data: bytes) -> Iterator[bytes]:
    """Yield the type of every chunk, its checksum verified: Pillow skips those of pixel data."""
    view = memoryview(data)
    position = 8
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 8 + length
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(view[position + 4 : end]) != checksum:
            raise unreadable("png")
        yield data[position + 4 : position + 8]
        position = end + 4


def _read_jpeg(data: bytes, limits: Limits) -> Header:
    size: tuple[int, int] | None = None
    scans = exif = 0
    for blocks, (marker, start) in enumerate(_jpeg_segments(data), 1):
        _check_count("jpeg", "segments", blocks, MAX_BLOCKS)
        if marker in _JPEG_FRAMES and not scans:
            height, width = struct.unpack_from(">HH", data, start + 5)
            size = width, height
            check_size(width, height, limits)
        scans += marker == _JPEG_SCAN
        exif += marker == _JPEG_APP1 and data.startswith(b"Exif\0\0", start + 4)
    if size is None or not scans:
        raise unreadable("jpeg")
    _check_count("jpeg", "scans", scans, limits.jpeg_scans)
    _check_count("jpeg", "Exif segments", exif, MAX_EXIF_SEGMENTS)
    return Header("jpeg", *size)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield marker and position of every segment, up to the end of the first image."""
    junk = position = 0
    in_header = True
    while (match := _JPEG_MARKER.search(data, position)) is not None:
        marker, start = data[match.end() - 1], match.start()
        junk += (start - position) * in_header
        if marker == _JPEG_END:
            return
        if junk > MAX_JUNK:
            raise unreadable("jpeg")
        yield marker, start
        in_header = in_header and marker != _JPEG_SCAN
        position = start + 2 + max(2, *struct.unpack_from(">H", data, start + 2))


def _read_gif(data: bytes, limits: Limits) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    check_size(width, height, limits)
    frames = 0
    for left, top, frame_width, frame_height in _gif_frames(data):
        if frames == 0:
            # A first frame that reaches beyond the screen enlarges it.
            width, height = max(width, left + frame_width), max(height, top + frame_height)
            check_size(width, height, limits)
        frames += 1
    if frames == 0:
        raise unreadable("gif")
    return Header("gif", width, height, frames)


def _gif_frames(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield left, top, width and height of every frame."""
    position = 13 + _gif_palette_bytes(data[10])
    blocks = 0
    while position < len(data) and data[position] != _GIF_TRAILER:
        introducer = data[position]
        if introducer == _GIF_FRAME:
            yield struct.unpack_from("<4H", data, position + 1)
            position += 11 + _gif_palette_bytes(data[position + 9])
        elif introducer == _GIF_EXTENSION:
            position += 2
        else:
            return  # as browsers do: what is no block ends the file
        length = -1
        while length:
            length = data[position]
            position += length + 1
            blocks += 1
            _check_count("gif", "sub-blocks", blocks, MAX_GIF_BLOCKS)


def _gif_palette_bytes(flags: int) -> int:
    return 6 << (flags & 7) if flags & 0x80 else 0


def _read_webp(data: bytes, limits: Limits) -> Header:
    if data[12:16] == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif data[12:16] == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    check_size(width, height, limits)
    return Header("webp", width, height)


def _read_bmp(data: bytes, limits: Limits) -> Header:
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    if header_bytes == _BMP_CORE_HEADER:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<Ii", data, 18)
        (compression,) = struct.unpack_from("<I", data, 30)
        if compression in _BMP_RUN_LENGTH:
            message = "Run-length encoded BMP is not decoded: save the image as PNG."
            raise UnsupportedImage(message, format="bmp")
    check_size(width, abs(height), limits)
    return Header("bmp", width, abs(height))


def _check_count(name: Format, what: str, count: int, limit: int) -> None:
    if count > limit:
        message = (
            f"The {name.upper()} image has at least {count} {what}; at most {limit} are decoded."
            " Save it again in a simpler form."
        )
        raise ImageTooComplex(message, format=name, what=what, count=count, limit=limit)


# Markers that begin a segment with a length, and the end of the image. A run of fill bytes is skipped
# without backtracking because the expression takes only its last byte.
_JPEG_MARKER = re.compile(rb"\xff[\xc0-\xc7\xc9-\xcf\xd9-\xef\xfe]")
_JPEG_FRAMES = frozenset({*range(0xC0, 0xD0), 0xDE} - {0xC4, 0xC8, 0xCC})
_JPEG_END = 0xD9
_JPEG_SCAN = 0xDA
_JPEG_APP1 = 0xE1

_GIF_EXTENSION = 0x21
_GIF_FRAME = 0x2C
_GIF_TRAILER = 0x3B

_BMP_CORE_HEADER = 12
_BMP_RUN_LENGTH = (1, 2)

_READERS: dict[Format, Callable[[bytes, Limits], Header]] = {
    "png": _read_png,
    "jpeg": _read_jpeg,
    "webp": _read_webp,
    "bmp": _read_bmp,
    "gif": _read_gif,
}

_SIGNATURES: tuple[tuple[re.Pattern[bytes], Format], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "png"),
    (re.compile(rb"\xff\xd8\xff"), "jpeg"),
    (re.compile(rb"RIFF.{4}WEBPVP8[ LX]", re.DOTALL), "webp"),
    (re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL), "bmp"),
    (re.compile(rb"GIF8[79]a"), "gif"),
)
