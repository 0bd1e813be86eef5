"""Indexed PNG files: one byte a pixel and a palette of 256 colours."""

import io
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def encode(
    image: Image.Image, colours: NDArray[np.uint8], text: Mapping[str, str], *, enlarged: bool
) -> bytes:
    """Write a PNG file that depends on nothing but its arguments.

    Args:
        image: A picture of palette indices (Pillow mode L); becomes a palette picture.
        colours: Red, green and blue of every index, shape (256, 3).
        text: Entries of the file, written in the order of their names. Anything but printable ASCII is
            written as a Python escape.
        enlarged: Whether rows repeat, so that it pays to look for what was there before. Else only runs of one
            colour are worth it in feature maps: finding no more takes half the time.
    """
    strategy = zlib.Z_DEFAULT_STRATEGY if enlarged else zlib.Z_RLE
    image.putpalette(colours.tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1, compress_type=strategy, pnginfo=_entries(text))
    return file.getvalue()


def _entries(text: Mapping[str, str]) -> PngInfo:
    entries = PngInfo()
    for name in sorted(text):
        entries.add_text(name, text[name].encode("unicode_escape").decode("ascii"))
    return entries
