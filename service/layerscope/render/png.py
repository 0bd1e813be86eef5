"""Indexed PNG files: one byte a pixel and a palette of 256 colours."""

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def encode(image: Image.Image, colours: NDArray[np.uint8], text: Mapping[str, str]) -> bytes:
    """Write a PNG file that depends on nothing but its arguments.

    Args:
        image: A picture of palette indices (Pillow mode L); becomes a palette picture.
        colours: Red, green and blue of every index, shape (256, 3).
        text: Entries of the file, written in the order of their names. Anything but printable ASCII is
            written as a Python escape.
    """
    image.putpalette(colours.tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1, pnginfo=_entries(text))
    return file.getvalue()


def _entries(text: Mapping[str, str]) -> PngInfo:
    entries = PngInfo()
    for name in sorted(text):
        entries.add_text(name, text[name].encode("unicode_escape").decode("ascii"))
    return entries
