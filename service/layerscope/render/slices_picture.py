"""Picture of slices: a map over a volume or the frames of a film, slice by slice, each over what the model was given."""

from collections.abc import Mapping, Sequence
from math import isqrt

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerscope.limits import Limits
from layerscope.render import font
from layerscope.render.image_files import PictureFormat, require_format_fits
from layerscope.render.layout import BAR_MARGIN, BAR_TEXT_MARGIN, BAR_WIDTH, LABEL_HEIGHT, LABEL_MARGIN
from layerscope.render.map_colours import Canvas, MapColours, blank, blended, require_pixels
from layerscope.render.options import PictureOptions
from layerscope.render.overlay import Interpolation, taken
from layerscope.render.palette import TEXT
from layerscope.render.picture import Picture

MOST_SLICES = 16
"""The slices that are drawn where nobody chooses."""

_SIDE = 72
"""The least pixels of the longer side of a slice at scale 1. Smaller slices are enlarged."""

_GAP = 4
_NUMBER = font.text_width("-1.23e-308")


def slices_picture(
    heat: NDArray[np.floating],
    volume: NDArray[np.floating],
    slices: Sequence[int],
    options: PictureOptions,
    *,
    limits: Limits,
    axis: str | None,
    alpha: float = 0.5,
    interpolation: Interpolation = "bilinear",
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> Picture:
    """Draw slices along the first axis, in reading order. The same arguments give the same bytes.

    A slice is the mean over its channels in grey, from the smallest to the largest value of all slices. The map covers the whole
    input, whatever its own sizes, and its colours are the same in all slices.

    Args:
        heat: The map, (z, y, x).
        volume: What the model was given, (slices, height, width, channels).
        slices: The numbers of the slices.
        options: `colormap`, `centered`, `range`, `percentile`, `scale` and `colorbar` are used.
        limits: `picture_pixels` bounds the picture; it is checked before any work.
        axis: What the slices count, such as depth; None if there is one only, which needs no label.
        alpha: Opacity of the colours.
        interpolation: As for `overlay`.
        metadata: Text entries for the PNG file.
        form: The format of the file.

    Raises:
        AnswerTooLarge: The picture would have more pixels than the limit.
    """
    count, rows, columns, _ = volume.shape
    height, width = slices_picture_size((rows, columns), len(slices), options, is_labelled=axis is not None)
    require_pixels((height, width), limits, "choose fewer slices (slice=)", "at a smaller scale (scale=)")
    require_format_fits(width, height, form)
    colours, canvas, texts = MapColours(heat, options), blank(height, width), []
    factor, label = _factor((rows, columns), options.scale), LABEL_HEIGHT if axis else 0
    chosen = taken(heat, (np.asarray(slices) + 0.5) * len(heat) / count, 0, interpolation)
    grey = _grey(volume)[list(slices)]
    across = _columns(len(slices))
    for place, (values, below) in enumerate(zip(chosen, grey, strict=True)):
        for side, size in enumerate((rows, columns)):
            at = (np.arange(size * factor) + 0.5) / factor * values.shape[side] / size
            values = taken(values, at, side, interpolation)  # noqa: PLW2901
        tile = below.repeat(factor, axis=0).repeat(factor, axis=1)[..., np.newaxis]
        top, left = (
            place // across * (rows * factor + label + _GAP),
            place % across * (columns * factor + _GAP),
        )
        part = canvas[top + label : top + label + rows * factor, left : left + columns * factor]
        part[:] = blended(colours.of(values), np.broadcast_to(tile, part.shape), alpha)
        texts.append((f"{axis} {slices[place]}", left + LABEL_MARGIN, top + 1))
    if options.colorbar:
        texts = [*texts[: len(slices) if axis else 0], *_bar(canvas, colours)]
    elif axis is None:
        texts = []
    image = Image.fromarray(canvas)
    for text, left, top in texts:
        font.draw_text(image, text, left=left, top=top, color=TEXT)
    return colours.picture(np.asarray(image), metadata, form)


def slices_picture_size(
    sides: tuple[int, int], slices: int, options: PictureOptions, *, is_labelled: bool
) -> tuple[int, int]:
    """Height and width of the picture of some slices with `sides`."""
    factor, across = _factor(sides, options.scale), _columns(slices)
    down = -(-slices // across)
    height = down * (sides[0] * factor + (LABEL_HEIGHT if is_labelled else 0) + _GAP) - _GAP
    bar = BAR_MARGIN + BAR_WIDTH + 2 * BAR_TEXT_MARGIN + _NUMBER if options.colorbar else 0
    return height, across * (sides[1] * factor + _GAP) - _GAP + bar


def _factor(sides: tuple[int, int], scale: int) -> int:
    return scale * max(1, -(-_SIDE // max(sides)))


def _columns(slices: int) -> int:
    return isqrt(slices - 1) + 1


def _grey(volume: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Slices in grey; black where a value is not finite."""
    values = volume.astype(np.float64).mean(axis=-1)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / ((high - low) or 1.0)
    grey: NDArray[np.uint8] = np.rint(255 * scaled).astype(np.uint8)
    return grey


def _bar(canvas: Canvas, colours: MapColours) -> list[tuple[str, int, int]]:
    """Draw the colour bar at the right, and give its texts with their places."""
    height, width, _ = canvas.shape
    left = width - _NUMBER - 2 * BAR_TEXT_MARGIN - BAR_WIDTH
    levels = np.arange(height)[::-1] * colours.palette.levels // height
    canvas[:, left : left + BAR_WIDTH] = colours.palette.colours[levels][:, np.newaxis]
    low, high = colours.ends
    beside = left + BAR_WIDTH + BAR_TEXT_MARGIN
    return [(f"{high:.3g}", beside, 0), (f"{low:.3g}", beside, height - font.LINE_HEIGHT)]
