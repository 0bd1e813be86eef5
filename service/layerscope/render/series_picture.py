"""Picture of a series: its channels as curves over time, with the colours of a map behind them and the map below."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerscope.limits import Limits
from layerscope.render import font
from layerscope.render.curves import (
    FOOT,
    GAP,
    LEFT,
    PLOT_WIDTH,
    RIGHT,
    draw_curve,
    end_texts,
    finite_ends,
    in_columns,
    panel_height,
    write_ticks,
)
from layerscope.render.image_files import PictureFormat, require_format_fits
from layerscope.render.map_colours import Canvas, MapColours, blank, blended, require_pixels
from layerscope.render.options import PictureOptions
from layerscope.render.overlay import Interpolation
from layerscope.render.palette import TEXT
from layerscope.render.picture import Picture

MOST_CHANNELS = 16
"""The channels that are drawn; of more, the first."""

_MAP = 44


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
    colours, plot = MapColours(heat, options), PLOT_WIDTH * options.scale
    canvas = blank(height, width)
    values = in_columns(heat, plot, interpolation)
    texts, top = [], GAP
    for number in range(min(channels, MOST_CHANNELS)):
        panel = canvas[top : top + panel_height(channels) * options.scale, LEFT : LEFT + plot]
        panel[:] = blended(colours.of(values)[np.newaxis], panel, alpha)
        low, high = finite_ends(signal[:, number])
        draw_curve(panel, signal[:, number], low, high)
        texts += end_texts(low, high, top, len(panel))
        if channels > 1:
            texts.append((f"#{number}", 2, top + (len(panel) - font.LINE_HEIGHT) // 2))
        top += len(panel) + GAP
    panel = canvas[top : top + _MAP * options.scale, LEFT : LEFT + plot]
    low, high = colours.ends
    _draw_map(panel, values, colours)
    texts += end_texts(low, high, top, len(panel))
    texts.append(("map", 2, top + (len(panel) - font.LINE_HEIGHT) // 2))
    top += len(panel)
    image = Image.fromarray(canvas)
    for text, left, above in texts:
        font.draw_text(image, text, left=left, top=above, color=TEXT)
    write_ticks(image, steps, plot, top, axis)
    notes = (
        [f"{MOST_CHANNELS} of {channels} channels are drawn, the first ones."]
        if channels > MOST_CHANNELS
        else []
    )
    return colours.picture(np.asarray(image), metadata, form, notes)


def series_picture_size(channels: int, scale: int) -> tuple[int, int]:
    """Height and width of the picture of a series."""
    curves = min(channels, MOST_CHANNELS) * (panel_height(channels) * scale + GAP)
    return GAP + curves + _MAP * scale + FOOT, LEFT + PLOT_WIDTH * scale + RIGHT


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
