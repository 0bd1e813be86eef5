"""Picture of a series: its channels as curves over time, with the colours of a map behind them and the map below."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerscope.limits import Limits
from layerscope.render import font
from layerscope.render.image_files import PictureFormat, require_format_fits
from layerscope.render.map_colours import Canvas, MapColours, blank, blended, require_pixels
from layerscope.render.options import PictureOptions
from layerscope.render.overlay import Interpolation, taken
from layerscope.render.palette import TEXT
from layerscope.render.picture import Picture

MOST_CHANNELS = 16
"""The channels that are drawn; of more, the first."""

_WIDTH, _LEFT, _RIGHT = 332, 60, 8
_MAP, _GAP, _FOOT = 44, 6, 2 * font.LINE_HEIGHT + 6
_TICKS = 6
_LINE = 2


def series_picture(
    heat: NDArray[np.floating],
    signal: NDArray[np.floating],
    options: PictureOptions,
    *,
    limits: Limits,
    axis: str,
    alpha: float = 0.5,
    interpolation: Interpolation = "bilinear",
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> Picture:
    """Draw a series and a map over it. The same arguments give the same bytes.

    Each channel is a curve between its smallest and largest value, which stand at its left. Where more steps than pixels lie
    beside each other, a pixel shows the smallest and the largest of its steps. The map covers the whole series, whatever its
    own number of values. It colours what is behind the curves, and is a filled curve below them with its ends at the left.

    Args:
        heat: The map, (values,).
        signal: The series, (steps, channels).
        options: `colormap`, `centered`, `range`, `percentile` and `scale` are used.
        limits: `picture_pixels` bounds the picture; it is checked before any work.
        axis: What the steps count, such as time.
        alpha: Opacity of the colours behind the curves.
        interpolation: As for `overlay`.
        metadata: Text entries for the PNG file.
        form: The format of the file.

    Raises:
        AnswerTooLarge: The picture would have more pixels than the limit.
    """
    steps, channels = signal.shape
    height, width = series_picture_size(channels, options.scale)
    require_pixels((height, width), limits, "at a smaller scale (scale=)")
    require_format_fits(width, height, form)
    colours, plot = MapColours(heat, options), _WIDTH * options.scale
    canvas = blank(height, width)
    values = _in_columns(heat, plot, interpolation)
    texts, top = [], _GAP
    for number in range(min(channels, MOST_CHANNELS)):
        panel = canvas[top : top + _panel(channels) * options.scale, _LEFT : _LEFT + plot]
        panel[:] = blended(colours.of(values)[np.newaxis], panel, alpha)
        low, high = _finite_ends(signal[:, number])
        _draw_curve(panel, signal[:, number], low, high)
        texts += _end_texts(low, high, top, len(panel))
        if channels > 1:
            texts.append((f"#{number}", 2, top + (len(panel) - font.LINE_HEIGHT) // 2))
        top += len(panel) + _GAP
    panel = canvas[top : top + _MAP * options.scale, _LEFT : _LEFT + plot]
    low, high = colours.ends
    _draw_map(panel, values, colours)
    texts += _end_texts(low, high, top, len(panel))
    texts.append(("map", 2, top + (len(panel) - font.LINE_HEIGHT) // 2))
    top += len(panel)
    image = Image.fromarray(canvas)
    for text, left, above in texts:
        font.draw_text(image, text, left=left, top=above, color=TEXT)
    _write_ticks(image, steps, plot, top, axis)
    notes = (
        [f"{MOST_CHANNELS} of {channels} channels are drawn, the first ones."]
        if channels > MOST_CHANNELS
        else []
    )
    return colours.picture(np.asarray(image), metadata, form, notes)


def series_picture_size(channels: int, scale: int) -> tuple[int, int]:
    """Height and width of the picture of a series."""
    curves = min(channels, MOST_CHANNELS) * (_panel(channels) * scale + _GAP)
    return _GAP + curves + _MAP * scale + _FOOT, _LEFT + _WIDTH * scale + _RIGHT


def _panel(channels: int) -> int:
    """The height of a curve: the more there are, the lower they are."""
    return 84 if channels == 1 else 48 if channels <= 4 else 30


def _in_columns(heat: NDArray[np.floating], width: int, interpolation: Interpolation) -> NDArray[np.floating]:
    """The map's value in each column of pixels. Of several values in a column, it is the one of largest magnitude."""
    if len(heat) <= width:
        return taken(heat, (np.arange(width) + 0.5) * len(heat) / width, 0, interpolation)
    starts = np.arange(width) * len(heat) // width
    strongest = np.maximum.reduceat(heat, starts)
    weakest = np.minimum.reduceat(heat, starts)
    return np.where(np.abs(weakest) > np.abs(strongest), weakest, strongest)


def _finite_ends(values: NDArray[np.floating]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (float("nan"), float("nan"))


def _draw_curve(panel: Canvas, values: NDArray[np.floating], low: float, high: float) -> None:
    """A line through the values, each in the middle of its step. Where a value is not finite, there is none."""
    height, width, _ = panel.shape
    borders = np.arange(width + 1) * len(values) / width - 0.5
    numbers = values.astype(np.float64)
    between = np.interp(borders, np.arange(len(values)), np.where(np.isfinite(numbers), numbers, np.nan))
    bottom, top = np.minimum(between[:-1], between[1:]), np.maximum(between[:-1], between[1:])
    columns = np.arange(len(values)) * 2 * width // (2 * len(values))
    if len(values) > width:
        np.minimum.at(bottom, columns, numbers)
        np.maximum.at(top, columns, numbers)
    span = high - low or 1.0
    first, last = ((high - each) / span * (height - 1 - _LINE) for each in (top, bottom))
    rows = np.arange(height)[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        panel[(rows >= np.floor(first)) & (rows <= np.floor(last) + _LINE - 1)] = TEXT


def _draw_map(panel: Canvas, values: NDArray[np.floating], colours: MapColours) -> None:
    """A curve that is filled, in its colours, from zero on; from the nearer end where zero is not between the ends."""
    low, high = colours.ends
    height, span = len(panel), high - low or 1.0
    at = np.clip((high - np.nan_to_num(values, nan=high, posinf=high, neginf=low)) / span, 0, 1) * (
        height - 1
    )
    zero = np.clip(high / span, 0, 1) * (height - 1) if np.isfinite(span) else height - 1
    rows = np.arange(height)[:, np.newaxis]
    is_filled = (rows >= np.floor(np.minimum(at, zero))) & (rows <= np.ceil(np.maximum(at, zero)))
    panel[:] = np.where(is_filled[..., np.newaxis], colours.of(values)[np.newaxis], panel)
    panel[round(float(zero))] = TEXT


def _end_texts(low: float, high: float, top: int, height: int) -> list[tuple[str, int, int]]:
    """The numbers at the left of a panel, each with its place."""
    texts = ((f"{high:.3g}", top), (f"{low:.3g}", top + height - font.LINE_HEIGHT))
    return [(text, _LEFT - 4 - font.text_width(text), above) for text, above in texts]


def _write_ticks(image: Image.Image, steps: int, plot: int, top: int, axis: str) -> None:
    step = _tick(steps)
    for number in range(0, steps, step):
        column = _LEFT + int((number + 0.5) * plot / steps)
        image.paste(TEXT, (column, top, column + 1, top + 3))
        left = min(column - font.text_width(str(number)) // 2, image.width - font.text_width(str(number)))
        font.draw_text(image, str(number), left=left, top=top + 4, color=TEXT)
    left = _LEFT + (plot - font.text_width(axis)) // 2
    font.draw_text(image, axis, left=left, top=top + 4 + font.LINE_HEIGHT, color=TEXT)


def _tick(steps: int) -> int:
    """The distance of ticks: 1, 2 or 5 times a power of ten."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if steps <= _TICKS * factor * power:
                return factor * power
        power *= 10
