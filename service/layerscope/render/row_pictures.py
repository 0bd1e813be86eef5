"""What pictures with a row a layer have in common: the names at the left, and the bound on their size."""

from collections.abc import Sequence

from layerscope.errors import AnswerTooLarge
from layerscope.limits import Limits
from layerscope.render import font

SPACE = 12
"""Pixels between the parts of a row."""

_LONGEST_NAME = 48


def short_name(name: str) -> str:
    """The end of a name that is too long for a row."""
    return name if len(name) <= _LONGEST_NAME else f"...{name[3 - _LONGEST_NAME :]}"


def width_of_names(names: Sequence[str]) -> int:
    """The pixels at the left that the names of layers take, with the space around them."""
    return SPACE // 2 + max(font.text_width(short_name(name)) for name in [*names, "layer"]) + SPACE


def require_picture_fits(width: int, height: int, limits: Limits) -> None:
    """Check the size of a picture.

    Raises:
        AnswerTooLarge: it would have more pixels than `limits.picture_pixels`.
    """
    pixels = width * height
    if pixels > limits.picture_pixels:
        raise AnswerTooLarge(
            f"The picture would have {pixels:,} pixels, more than {limits.picture_pixels:,}",
            ways=("select fewer layers (layers=)",),
            pixels=pixels,
            limit=limits.picture_pixels,
        )
