"""Text in pictures: Pillow's built-in bitmap font, which has the same pixels on every machine."""

from functools import cache

from PIL import Image, ImageDraw, ImageFont

LINE_HEIGHT = 11
"""Height of a line of text in pixels."""


def text_width(text: str) -> int:
    """Return the width of a line of text in pixels."""
    return int(_font().getlength(_ascii(text)))


def draw_text(image: Image.Image, text: str, *, left: int, top: int, color: int) -> None:
    """Draw a line of text.

    Args:
        image: A picture of palette indices (Pillow mode L); modified.
        text: The text; characters other than printable ASCII, which the font lacks, appear as Python escapes.
        left: Column of the text's left edge.
        top: Row of the text's upper edge.
        color: The palette index of the letters.
    """
    ImageDraw.Draw(image).text((left, top), _ascii(text), fill=color, font=_font())


def _ascii(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")


@cache
def _font() -> ImageFont.ImageFont:
    return ImageFont.load_default_imagefont()
