"""Text in pictures: Pillow's built-in bitmap font, which has the same pixels on every machine."""

from bisect import bisect_right
from functools import cache
from itertools import accumulate

from PIL import Image, ImageDraw, ImageFont

LINE_HEIGHT = 11
"""Height of a line of text in pixels."""


def text_width(text: str) -> int:
    """Return the width of a line of text in pixels."""
    return int(_font().getlength(_ascii(text)))


def draw_text(
    image: Image.Image, text: str, *, left: int, top: int, color: int | tuple[int, int, int]
) -> None:
    """Draw a line of text.

    Args:
        image: A picture of palette indices (Pillow mode L), or of red, green and blue; modified.
        text: The text; characters other than printable ASCII, which the font lacks, appear as Python escapes.
        left: Column of the text's left edge.
        top: Row of the text's upper edge.
        color: The palette index, or the colour, of the letters.
    """
    ImageDraw.Draw(image).text((left, top), _ascii(text), fill=color, font=_font())


def draw_upwards(image: Image.Image, text: str, *, left: int, bottom: int, color: int) -> None:
    """Draw a line of text that is read from the bottom up: `LINE_HEIGHT` pixels wide, and as high as the text is long.

    Args:
        image: As for `draw_text`.
        text: As for `draw_text`.
        left: Column of the left edge.
        bottom: Row below the first letter.
        color: The palette index, or the colour, of the letters.
    """
    line = Image.new("1", (max(1, text_width(text)), LINE_HEIGHT))
    ImageDraw.Draw(line).text((0, 0), _ascii(text), fill=1, font=_font())
    turned = line.transpose(Image.Transpose.ROTATE_90)
    image.paste(color, (left, bottom - turned.height), turned)


def shortened(text: str, letters: int) -> str:
    """The beginning of a text, with two points behind it, that is drawn with at most `letters` letters; all of a short one."""
    lengths = list(accumulate(len(_ascii(each)) for each in text[: letters + 1]))
    if not lengths or lengths[-1] <= letters:
        return text
    return f"{text[: bisect_right(lengths, letters - 2)]}.."


def has_all(text: str) -> bool:
    """Whether the font has every letter of a text, so that none is drawn as an escape."""
    return _ascii(text) == text


def _ascii(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")


@cache
def _font() -> ImageFont.ImageFont:
    return ImageFont.load_default_imagefont()
