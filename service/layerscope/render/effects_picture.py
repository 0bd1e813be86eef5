"""Picture of a sweep: one row a unit, with a bar to the right for what speaks for the target and to the left for the rest."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from layerscope.limits import Limits
from layerscope.render import font, image_files
from layerscope.render.image_files import PictureFormat
from layerscope.render.palette import BACKGROUND, TEXT
from layerscope.render.row_pictures import SPACE, require_picture_fits, short_name, width_of_names

_COLOURS = (BACKGROUND, TEXT, (222, 224, 229), (31, 119, 180), (214, 39, 40))
_BACKGROUND, _TEXT, _ZERO, _FOR, _AGAINST = range(len(_COLOURS))

_ROW, _BAR, _HEAD, _AXIS, _TAIL = 15, 9, 34, 320, 220


@dataclass(frozen=True, slots=True)
class EffectRow:
    """The effect of a unit, as drawn.

    Attributes:
        name: What the unit is called.
        effect: What the target loses without it; a number that is not finite has no bar.
        note: What is written behind the bar.
    """

    name: str
    effect: float
    note: str = ""


def effects_picture(
    rows: Sequence[EffectRow],
    title: str,
    *,
    limits: Limits,
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> bytes:
    """Draw the effects of units, one row a unit, as an indexed PNG or lossless WebP file.

    All bars have one scale. The same arguments give the same bytes.

    Raises:
        AnswerTooLarge: The picture would have more pixels than `limits.picture_pixels`, or a side too long for the format.
    """
    width, height = effects_picture_size([row.name for row in rows], limits)
    image_files.require_format_fits(width, height, form)
    canvas = np.full((height, width), _BACKGROUND, np.uint8)
    effects = [row.effect for row in rows if math.isfinite(row.effect)]
    low, high = min([0.0, *effects]), max([0.0, *effects])
    left = width_of_names([row.name for row in rows])

    def place(effect: float) -> int:
        return left + round((effect - low) / ((high - low) or 1.0) * (_AXIS - 1))

    zero = place(0.0)
    canvas[_HEAD - 4 :, zero] = _ZERO
    for number, row in enumerate(rows):
        if math.isfinite(row.effect) and row.effect != 0:
            start, end = sorted((zero, place(row.effect)))
            band = canvas[_HEAD + number * _ROW :][:_BAR]
            band[:, start : end + 1] = _FOR if row.effect > 0 else _AGAINST
    image = Image.fromarray(canvas)
    font.draw_text(image, title[:100], left=SPACE // 2, top=2, color=_TEXT)
    font.draw_text(image, "0", left=zero - 3, top=18, color=_TEXT)
    for number, row in enumerate(rows):
        top = _HEAD + number * _ROW - 1
        font.draw_text(image, short_name(row.name), left=SPACE // 2, top=top, color=_TEXT)
        text = f"{row.effect:.4g}  {row.note}"[:36]
        font.draw_text(image, text, left=left + _AXIS + SPACE, top=top, color=_TEXT)
    return image_files.encode_indexed(image, _palette(), metadata or {}, form=form)


def effects_picture_size(names: Sequence[str], limits: Limits) -> tuple[int, int]:
    """Width and height, in pixels, of the picture of units with these names.

    Raises:
        AnswerTooLarge: The picture would have more pixels than `limits.picture_pixels`.
    """
    size = width_of_names(names) + _AXIS + SPACE + _TAIL, _HEAD + len(names) * _ROW
    require_picture_fits(*size, limits)
    return size


def _palette() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(_COLOURS)] = _COLOURS
    return colours
