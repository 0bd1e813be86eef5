"""Text in pictures: Pillow's built-in bitmap font, which is the same on every machine."""

from functools import cache

from PIL import Image, ImageDraw, ImageFont

HEIGHT = 11
"""Pixels a line of text is high."""


def width(text: str) -> int:
    """Return how many pixels wide a line of text is."""
    return int(_font().getlength(_ascii(text)))


def write(image: Image.Image, text: str, *, left: int, top: int, ink: int) -> None:
    """Write a line of text.

    Args:
        image: A picture of palette indices (Pillow mode L); modified.
        text: What to write; anything but printable ASCII appears as a Python escape.
        left: Column of the text's left edge.
        top: Row of the text's upper edge.
        ink: The palette index to write with.
    """
    ImageDraw.Draw(image).text((left, top), _ascii(text), fill=ink, font=_font())


def _ascii(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")


@cache
def _font() -> ImageFont.ImageFont:
    return ImageFont.load_default_imagefont()
