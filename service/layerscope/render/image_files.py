"""Image files of pictures: PNG, indexed where one palette is enough and RGB otherwise, or lossless WebP.

PNG files are written here because Pillow compresses with zlib, which took 85 % of the time of a drawing. ISA-L draws a
grid of 192 maps in 0.95 ms instead of 2.44 and a heat map over a picture in 1.7 ms instead of 8; the files are 7 %
longer at scale 1 and as long at others.
"""

import io
import struct
import zlib
from collections.abc import Mapping
from typing import Literal

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray
from PIL import Image

from layerscope.errors import AnswerTooLarge

PictureFormat = Literal["png", "webp"]

MEDIA_TYPES: dict[PictureFormat, str] = {"png": "image/png", "webp": "image/webp"}
"""Media type of each format, the default format first."""

_LONGEST_WEBP_SIDE = 16_383
"""Most pixels of a side of a WebP picture: its header has 14 bits for each."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_INDEXED, _RGB = bytes([8, 3, 0, 0, 0]), bytes([8, 2, 0, 0, 0])
"""Bit depth, colour type, compression method, filter method and interlacing: the end of a PNG file's IHDR chunk."""

_NO_FILTER, _AVERAGE = 0, 3
"""Filter types of a row (https://www.w3.org/TR/png-3/#9Filter-types): none, or the difference to the mean of the pixels to
the left and above. Palette indices are not filtered, because the difference of two indices means nothing. For RGB, the
average filter gives the smallest files except for Paeth's, which takes three times as long for files 1 % smaller."""

_COMPRESSION = 1
"""ISA-L's level, 0 to 3."""


def encode_indexed(
    image: Image.Image,
    colours: NDArray[np.uint8],
    text: Mapping[str, str],
    *,
    form: PictureFormat = "png",
) -> bytes:
    """Write a picture of palette indices as a file. The same arguments give the same bytes.

    Args:
        image: Palette indices (Pillow mode L). For WebP it is changed to a palette picture.
        colours: Red, green and blue of every index, uint8 of shape (256, 3).
        text: Text entries of a PNG file (tEXt chunks), written in alphabetical order of their names. Characters
            other than printable ASCII are written as Python escapes. A WebP file has no text entries.
        form: The format of the file.
    """
    if form == "webp":
        image.putpalette(colours.tobytes())
        return _webp(image.convert("RGB"))
    return _png(np.asarray(image)[..., np.newaxis], _NO_FILTER, _INDEXED, text, colours)


def encode_rgb(image: NDArray[np.uint8], text: Mapping[str, str], *, form: PictureFormat = "png") -> bytes:
    """Write red, green and blue, uint8 of shape (height, width, 3), as a file; see `encode_indexed`."""
    if form == "webp":
        return _webp(Image.fromarray(image))
    return _png(_average_filtered(image), _AVERAGE, _RGB, text)


def require_format_fits(width: int, height: int, form: PictureFormat) -> None:
    """Check that a format can hold a picture of a size in pixels.

    Raises:
        AnswerTooLarge: A side is longer than the format allows.
    """
    if form == "webp" and max(width, height) > _LONGEST_WEBP_SIDE:
        raise AnswerTooLarge(
            f"The picture would be {width} x {height} pixels; WebP holds {_LONGEST_WEBP_SIDE:,} a side",
            ways=("accept image/png", "draw fewer channels (channels=)", "at a smaller scale (scale=, gap=)"),
            pixels=max(width, height),
            limit=_LONGEST_WEBP_SIDE,
        )


def _png(
    values: NDArray[np.uint8],
    row_filter: int,
    kind: bytes,
    text: Mapping[str, str],
    palette: NDArray[np.uint8] | None = None,
) -> bytes:
    """A PNG file of filtered values, uint8 of shape (height, width, bytes per pixel)."""
    height, width, _ = values.shape
    # Each row begins with a byte that names its filter.
    rows = np.full((height, 1 + values[0].size), row_filter, np.uint8)
    rows[:, 1:] = values.reshape(height, -1)
    chunks = [
        (b"IHDR", struct.pack(">II", width, height) + kind),
        *([] if palette is None else [(b"PLTE", palette.tobytes())]),
        *((b"tEXt", f"{name}\0{_escaped(text[name])}".encode("latin-1")) for name in sorted(text)),
        (b"IDAT", isal_zlib.compress(rows.data, _COMPRESSION)),
        (b"IEND", b""),
    ]
    return b"".join([_PNG_SIGNATURE, *(part for name, data in chunks for part in _chunk(name, data))])


def _average_filtered(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The average filter of PNG: each byte minus the mean, rounded down, of the bytes to the left and above.

    Pixels outside the picture count as 0, and differences wrap around modulo 256, as the standard demands.
    """
    left, above = np.zeros_like(pixels), np.zeros_like(pixels)
    left[:, 1:], above[1:] = pixels[:, :-1], pixels[:-1]
    # (left + above) // 2 without the ninth bit that the sum needs: the bits in common, plus half of those that differ.
    mean: NDArray[np.uint8] = (left & above) + ((left ^ above) >> 1)
    return pixels - mean


def _chunk(kind: bytes, data: bytes) -> tuple[bytes, ...]:
    """A chunk of a PNG file: length, type, data and CRC-32 (https://www.w3.org/TR/png-3/#5Chunk-layout)."""
    return struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _webp(image: Image.Image) -> bytes:
    file = io.BytesIO()
    # quality and method are the effort of the lossless encoder here; the least is enough for flat colours.
    image.save(file, "WEBP", lossless=True, quality=0, method=0)
    return file.getvalue()


def _escaped(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")
