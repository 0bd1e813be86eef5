"""Pictures as files: indexed PNG where there is one palette, else RGB; or WebP without loss."""

import io
import zlib
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from layerscope.errors import AnswerTooLarge

PictureFormat = Literal["png", "webp"]

MEDIA_TYPES: dict[PictureFormat, str] = {"png": "image/png", "webp": "image/webp"}
"""What each format is called in HTTP, the default first."""

_LONGEST_WEBP_SIDE = 16_383


def encode_indexed(
    image: Image.Image,
    colours: NDArray[np.uint8],
    text: Mapping[str, str],
    *,
    enlarged: bool,
    form: PictureFormat = "png",
) -> bytes:
    """Write a file that depends on nothing but its arguments.

    Args:
        image: A picture of palette indices (Pillow mode L); becomes a palette picture.
        colours: Red, green and blue of every index, shape (256, 3).
        text: Entries of a PNG file, written in the order of their names. Anything but printable ASCII is
            written as a Python escape. WebP has no place for them.
        enlarged: Whether rows repeat, so that it pays to look for what was there before. Else only runs of one
            colour are worth it in feature maps: finding no more takes half the time.
        form: The kind of file.

    Raises:
        AnswerTooLarge: The format has no room for a picture of that size.
    """
    strategy = zlib.Z_DEFAULT_STRATEGY if enlarged else zlib.Z_RLE
    image.putpalette(colours.tobytes())
    return _webp(image.convert("RGB")) if form == "webp" else _png(image, text, strategy)


def encode_rgb(image: Image.Image, text: Mapping[str, str], *, form: PictureFormat = "png") -> bytes:
    """Write a file of an RGB picture; see `encode_indexed`."""
    return _webp(image) if form == "webp" else _png(image, text, zlib.Z_DEFAULT_STRATEGY)


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


def _png(image: Image.Image, text: Mapping[str, str], strategy: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1, compress_type=strategy, pnginfo=_entries(text))
    return file.getvalue()


def _webp(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True, quality=0, method=0)
    return file.getvalue()


def _entries(text: Mapping[str, str]) -> PngInfo:
    entries = PngInfo()
    for name in sorted(text):
        entries.add_text(name, text[name].encode("unicode_escape").decode("ascii"))
    return entries
