"""Curves: panels of values over time or another axis, with their ends at the left and the steps below."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerscope.render import font
from layerscope.render.map_colours import Canvas
from layerscope.render.overlay import Interpolation, taken
from layerscope.render.palette import TEXT

PLOT_WIDTH, LEFT, RIGHT = 332, 60, 8
"""At scale 1: the width of a panel, and of what is at its sides."""

GAP, FOOT = 6, 2 * font.LINE_HEIGHT + 6
_TICKS = 6
_LINE = 2


def panel_height(curves: int) -> int:
    """The height of a curve: the more there are, the lower they are."""
    return 84 if curves == 1 else 48 if curves <= 4 else 30


def in_columns(heat: NDArray[np.floating], width: int, interpolation: Interpolation) -> NDArray[np.floating]:
    """The map's value in each column of pixels. Of several values in a column, it is the one of largest magnitude."""
    if len(heat) <= width:
        return taken(heat, (np.arange(width) + 0.5) * len(heat) / width, 0, interpolation)
    starts = np.arange(width) * len(heat) // width
    strongest = np.maximum.reduceat(heat, starts)
    weakest = np.minimum.reduceat(heat, starts)
    return np.where(np.abs(weakest) > np.abs(strongest), weakest, strongest)


def finite_ends(values: NDArray[np.floating]) -> tuple[float, float]:
    """The smallest and the largest finite value; NaN without one."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (float("nan"), float("nan"))


def draw_curve(panel: Canvas, values: NDArray[np.floating], low: float, high: float) -> None:
    """A line through the values, each in the middle of its step. Where a value is not finite, there is none.

    Where the values have no range, the line is in the middle of the panel.
    """
    height, width, _ = panel.shape
    borders = np.arange(width + 1) * len(values) / width - 0.5
    numbers = values.astype(np.float64)
    between = np.interp(borders, np.arange(len(values)), np.where(np.isfinite(numbers), numbers, np.nan))
    bottom, top = np.minimum(between[:-1], between[1:]), np.maximum(between[:-1], between[1:])
    columns = np.arange(len(values)) * 2 * width // (2 * len(values))
    if len(values) > width:
        np.minimum.at(bottom, columns, numbers)
        np.maximum.at(top, columns, numbers)
    shares = ((high - each) / (high - low) if low < high else each - each + 0.5 for each in (top, bottom))
    first, last = (share * (height - 1 - _LINE) for share in shares)
    rows = np.arange(height)[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        panel[(rows >= np.floor(first)) & (rows <= np.floor(last) + _LINE - 1)] = TEXT


def end_texts(low: float, high: float, top: int, height: int) -> list[tuple[str, int, int]]:
    """The numbers at the left of a panel, each with its place."""
    texts = ((f"{high:.3g}", top), (f"{low:.3g}", top + height - font.LINE_HEIGHT))
    return [(text, LEFT - 4 - font.text_width(text), above) for text, above in texts]


def write_ticks(image: Image.Image, steps: int, plot: int, top: int, axis: str) -> None:
    """Number the steps below panels, and name what they count."""
    step = _tick(steps)
    for number in range(0, steps, step):
        column = LEFT + int((number + 0.5) * plot / steps)
        image.paste(TEXT, (column, top, column + 1, top + 3))
        left = min(column - font.text_width(str(number)) // 2, image.width - font.text_width(str(number)))
        font.draw_text(image, str(number), left=left, top=top + 4, color=TEXT)
    left = LEFT + (plot - font.text_width(axis)) // 2
    font.draw_text(image, axis, left=left, top=top + 4 + font.LINE_HEIGHT, color=TEXT)


def _tick(steps: int) -> int:
    """The distance of ticks: 1, 2 or 5 times a power of ten."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if steps <= _TICKS * factor * power:
                return factor * power
        power *= 10
