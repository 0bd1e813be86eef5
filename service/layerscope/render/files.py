"""Pictures as files: indexed PNG where there is one palette, else RGB; or WebP without loss."""

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
"""What each format is called in HTTP, the default first."""

_LONGEST_WEBP_SIDE = 16_383

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_INDEXED, _RGB = bytes([8, 3, 0, 0, 0]), bytes([8, 2, 0, 0, 0])
"""Depth, colour type, compression, filters and interlacing, as the header of a PNG file says them."""

_NO_FILTER, _AVERAGE = 0, 3
"""How a row is stored (https://www.w3.org/TR/png-3/#9Filter-types): as it is, or as what it differs by from the mean of
the pixels to the left and above. Neighbouring indices of a palette have nothing in common to take away; of the filters
for colours this one gives the smallest files but for Paeth's, which takes three times as long for 1 % less."""

_COMPRESSION = 1


def encode_indexed(
    image: Image.Image,
    colours: NDArray[np.uint8],
    text: Mapping[str, str],
    *,
    form: PictureFormat = "png",
) -> bytes:
    """Write a file that depends on nothing but its arguments.

    Args:
        image: A picture of palette indices (Pillow mode L); becomes a palette picture.
        colours: Red, green and blue of every index, shape (256, 3).
        text: Entries of a PNG file, written in the order of their names. Anything but printable ASCII is
            written as a Python escape. WebP has no place for them.
        form: The kind of file.

    Raises:
        AnswerTooLarge: The format has no room for a picture of that size.
    """
    if form == "webp":
        image.putpalette(colours.tobytes())
        return _webp(image.convert("RGB"))
    return _png(np.asarray(image)[..., np.newaxis], _NO_FILTER, _INDEXED, text, colours)


def encode_rgb(image: NDArray[np.uint8], text: Mapping[str, str], *, form: PictureFormat = "png") -> bytes:
    """Write a file of red, green and blue, shape (height, width, 3); see `encode_indexed`."""
    if form == "webp":
        return _webp(Image.fromarray(image))
    return _png(_less_than_neighbours(image), _AVERAGE, _RGB, text)


def require_side(width: int, height: int, form: PictureFormat) -> None:
    """Check that a format can hold a picture.

    Raises:
        AnswerTooLarge: It cannot.
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
    """A PNG file of filtered values, (height, width, bytes a pixel).

    Written here, because Pillow compresses with zlib: that takes five to ten times as long as ISA-L, and most of the
    time of a drawing, for files of about the same size.
    """
    height, width, _ = values.shape
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


def _less_than_neighbours(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What is left of pixels when the mean of those to the left and above, rounded down, is taken away."""
    left, above = np.zeros_like(pixels), np.zeros_like(pixels)
    left[:, 1:], above[1:] = pixels[:, :-1], pixels[:-1]
    # The mean of two bytes that needs no ninth bit.
    mean: NDArray[np.uint8] = (left & above) + ((left ^ above) >> 1)
    return pixels - mean


def _chunk(kind: bytes, data: bytes) -> tuple[bytes, ...]:
    """Length, kind, data and checksum (https://www.w3.org/TR/png-3/#5Chunk-layout)."""
    return struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _webp(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True, quality=0, method=0)
    return file.getvalue()


def _escaped(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")
