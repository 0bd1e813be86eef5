"""Reader of image headers: recognises the format by content and applies the reader of that format."""

import re
import struct
from collections.abc import Callable

from layerscope.errors import UnsupportedImage
from layerscope.images.headers.bmp import read_bmp
from layerscope.images.headers.gif import read_gif
from layerscope.images.headers.header import Format, Header, unreadable
from layerscope.images.headers.jpeg import read_jpeg
from layerscope.images.headers.png import read_png
from layerscope.images.headers.webp import read_webp
from layerscope.limits import Limits

_READERS: dict[Format, Callable[[bytes, Limits], Header]] = {
    "png": read_png,
    "jpeg": read_jpeg,
    "webp": read_webp,
    "bmp": read_bmp,
    "gif": read_gif,
}

# "BM" alone would match text; a BMP file has one of seven header sizes at byte 14.
_SIGNATURES: tuple[tuple[re.Pattern[bytes], Format], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "png"),
    (re.compile(rb"\xff\xd8\xff"), "jpeg"),
    (re.compile(rb"RIFF.{4}WEBPVP8[ LX]", re.DOTALL), "webp"),
    (re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL), "bmp"),
    (re.compile(rb"GIF8[79]a"), "gif"),
)


def read_header(data: bytes, limits: Limits) -> Header:
    """Recognise an image by its content and check everything that is bounded before decoding.

    Raises:
        UnsupportedImage: The bytes are none of PNG, JPEG, WebP, BMP and GIF, or a run-length encoded BMP.
        ImageUnreadable: The structure is damaged or ends early.
        ImageTooLarge: More pixels, or a longer side, than `limits` allow.
        ImageTooComplex: More scans or blocks than an image of any size needs.
    """
    name = _recognise(data)
    try:
        header = _READERS[name](data, limits)
    except (struct.error, IndexError):
        raise unreadable(name) from None
    if header.width < 1 or header.height < 1:
        raise unreadable(name)
    return header


def _recognise(data: bytes) -> Format:
    for pattern, name in _SIGNATURES:
        if pattern.match(data):
            return name
    message = "The bytes are not an image: send PNG, JPEG, WebP, BMP or GIF."
    raise UnsupportedImage(message, supported=list(_READERS), bytes=len(data))
