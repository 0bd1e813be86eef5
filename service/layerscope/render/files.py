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
from PIL.PngImagePlugin import PngInfo

from layerscope.errors import AnswerTooLarge

PictureFormat = Literal["png", "webp"]

MEDIA_TYPES: dict[PictureFormat, str] = {"png": "image/png", "webp": "image/webp"}
"""What each format is called in HTTP, the default first."""

_LONGEST_WEBP_SIDE = 16_383

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EIGHT_BITS_INDEXED = bytes([8, 3, 0, 0, 0])
"""Depth, colour type, compression, filters and interlacing, as the header of a PNG file says them."""

_NO_FILTER = 0
"""How a row of indices is stored: neighbouring colours of a palette have nothing in common to take away."""

_COMPRESSION = 1


def encode_indexed(
    image: Image.Image,
    colours: NDArray[np.uint8],
    text: Mapping[str, str],
    *,
    form: PictureFormat = "png",
) -> bytes:
    """Write a file that depends on nothing but its arguments.

    Written here, because Pillow compresses with zlib: that takes five to ten times as long as ISA-L, and most of the
    time of a drawing, for files of about the same size.

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
    rows = np.pad(np.asarray(image), ((0, 0), (1, 0)), constant_values=_NO_FILTER)
    header = struct.pack(">II", image.width, image.height) + _EIGHT_BITS_INDEXED
    entries = [(b"tEXt", f"{name}\0{_escaped(text[name])}".encode("latin-1")) for name in sorted(text)]
    chunks = [
        (b"IHDR", header),
        (b"PLTE", colours.tobytes()),
        *entries,
        (b"IDAT", isal_zlib.compress(rows.data, _COMPRESSION)),
        (b"IEND", b""),
    ]
    return b"".join([_PNG_SIGNATURE, *(part for kind, data in chunks for part in _chunk(kind, data))])


def encode_rgb(image: Image.Image, text: Mapping[str, str], *, form: PictureFormat = "png") -> bytes:
    """Write a file of an RGB picture; see `encode_indexed`."""
    if form == "webp":
        return _webp(image)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1, pnginfo=_entries(text))
    return file.getvalue()


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


def _chunk(kind: bytes, data: bytes) -> tuple[bytes, ...]:
    """Length, kind, data and checksum (https://www.w3.org/TR/png-3/#5Chunk-layout)."""
    return struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _webp(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True, quality=0, method=0)
    return file.getvalue()


def _entries(text: Mapping[str, str]) -> PngInfo:
    entries = PngInfo()
    for name in sorted(text):
        entries.add_text(name, _escaped(text[name]))
    return entries


def _escaped(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")
