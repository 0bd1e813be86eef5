"""Picture of a network's statistics: one row per layer, with its values on an axis that all layers share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerscope.limits import Limits
from layerscope.render import colormaps, font, image_files
from layerscope.render.image_files import PictureFormat
from layerscope.render.palette import BACKGROUND, TEXT
from layerscope.render.row_pictures import SPACE, require_picture_fits, short_name, width_of_names

if TYPE_CHECKING:
    from layerscope.tensors.asinh_axis import AsinhAxis

Canvas = NDArray[np.uint8]

HISTOGRAM_WIDTH = 320
"""Width in pixels of a layer's histogram, and number of its bins."""

_DEAD, _SATURATED, _NONFINITE, _ZEROS, _TRACK = (
    (214, 39, 40),
    (255, 152, 0),
    (255, 0, 255),
    (120, 124, 132),
    (232, 233, 236),
)
_RESERVED = (BACKGROUND, TEXT, _TRACK, _ZEROS, _DEAD, _SATURATED, _NONFINITE)
_LEVELS = 256 - len(_RESERVED)
_BACKGROUND, _TEXT_INDEX, _TRACK_INDEX, _ZEROS_INDEX, _DEAD_INDEX, _SATURATED_INDEX, _NONFINITE_INDEX = range(
    _LEVELS, 256
)

_ROW, _BAR, _BAR_SPACE, _HEAD = 15, 10, 80, 34
_LEGEND = "channels dead (red), saturated (orange)"
_TAIL = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerRow:
    """The statistics of one layer, as drawn.

    Attributes:
        name: The address of the layer.
        density: Number of values other than zero in each of `HISTOGRAM_WIDTH` equal parts of the axis.
        fraction_zero: Share of values that are zero, 0 to 1; NaN without a finite value.
        channels: Number of channels; 0 for a layer without channels.
        dead: Number of dead channels.
        saturated: Number of saturated channels.
        nonfinite: Number of values that are NaN or infinite.
    """

    name: str
    density: NDArray[np.int64]
    fraction_zero: float
    channels: int
    dead: int
    saturated: int
    nonfinite: int


def statistics_picture(
    rows: Sequence[LayerRow],
    axis: "AsinhAxis",
    *,
    limits: Limits,
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> bytes:
    """Draw the statistics of layers, one row per layer, as an indexed PNG or lossless WebP file.

    From left to right: the address; the histogram of the values other than zero, the densest part of each layer
    darkest; the share of zeros; the shares and numbers of dead and of saturated channels; the number of non-finite
    values. The same arguments give the same bytes.

    Raises:
        AnswerTooLarge: The picture would have more pixels than `limits.picture_pixels`, or a side too long for the format.
    """
    width, height = statistics_picture_size([row.name for row in rows], limits)
    image_files.require_format_fits(width, height, form)
    canvas = np.full((height, width), _BACKGROUND, np.uint8)
    left = width_of_names([row.name for row in rows])
    for number, row in enumerate(rows):
        _draw(canvas[_HEAD + number * _ROW :][:_BAR], row, left)
    zero = left + round(float(axis.positions(np.array(0.0))) * (HISTOGRAM_WIDTH - 1))
    canvas[_HEAD - 4 : height, zero] = np.where(
        canvas[_HEAD - 4 : height, zero] == _BACKGROUND, _TRACK_INDEX, canvas[_HEAD - 4 : height, zero]
    )
    image = Image.fromarray(canvas)
    _write_head(image, axis, left, zero)
    for number, row in enumerate(rows):
        _write(image, row, left, _HEAD + number * _ROW - 1)
    return image_files.encode_indexed(image, _palette(), metadata or {}, form=form)


def statistics_picture_size(names: Sequence[str], limits: Limits) -> tuple[int, int]:
    """Width and height, in pixels, of the picture of layers with these names.

    Raises:
        AnswerTooLarge: The picture would have more pixels than `limits.picture_pixels`.
    """
    width, height = width_of_names(names) + HISTOGRAM_WIDTH + _TAIL, _HEAD + len(names) * _ROW
    require_picture_fits(width, height, limits)
    return width, height


def _draw(band: Canvas, row: LayerRow, left: int) -> None:
    density = row.density / max(1, row.density.max())
    # The square root makes rare values visible. Level 24 is the lightest one used, so that one value is not white.
    indices = np.where(row.density > 0, 24 + np.sqrt(density) * (_LEVELS - 25), _BACKGROUND)
    band[:, left : left + HISTOGRAM_WIDTH] = indices.astype(np.uint8)
    zeros, channels = _bars(left)
    band[:, zeros : zeros + _BAR_SPACE] = _TRACK_INDEX
    _fill(band, zeros, 0 if np.isnan(row.fraction_zero) else row.fraction_zero, _ZEROS_INDEX)
    if row.channels:
        band[:, channels : channels + _BAR_SPACE] = _TRACK_INDEX
        _fill(band, channels, (row.dead + row.saturated) / row.channels, _SATURATED_INDEX)
        _fill(band, channels, row.dead / row.channels, _DEAD_INDEX)


def _bars(left: int) -> tuple[int, int]:
    zeros = left + HISTOGRAM_WIDTH + SPACE
    return zeros, zeros + _BAR_SPACE + SPACE


def _fill(band: Canvas, left: int, share: float, color: int) -> None:
    """Draw a bar. A share above 0 is at least one pixel wide."""
    band[:, left : left + int(np.ceil(share * _BAR_SPACE))] = color


def _write_head(image: Image.Image, axis: "AsinhAxis", left: int, zero: int) -> None:
    zeros, channels = _bars(left)
    font.draw_text(image, "layer", left=SPACE // 2, top=2, color=_TEXT_INDEX)
    font.draw_text(image, "values other than 0 (asinh axis)", left=left, top=2, color=_TEXT_INDEX)
    font.draw_text(image, "zeros", left=zeros, top=2, color=_TEXT_INDEX)
    font.draw_text(image, _LEGEND, left=channels, top=2, color=_TEXT_INDEX)
    low, high = f"{axis.low:.3g}", f"{axis.high:.3g}"
    right = left + HISTOGRAM_WIDTH - font.text_width(high)
    font.draw_text(image, high, left=right, top=16, color=_TEXT_INDEX)
    if axis.low < 0:
        font.draw_text(image, low, left=left, top=16, color=_TEXT_INDEX)
    if left + font.text_width(low) < zero - 6 < right - 12 or axis.low == 0:
        font.draw_text(image, "0", left=max(left, zero - 3), top=16, color=_TEXT_INDEX)


def _write(image: Image.Image, row: LayerRow, left: int, top: int) -> None:
    _, channels = _bars(left)
    font.draw_text(image, short_name(row.name), left=SPACE // 2, top=top, color=_TEXT_INDEX)
    after = channels + _BAR_SPACE + 6
    marks = {"dead": row.dead, "saturated": row.saturated}
    counts = ", ".join(f"{count} of {row.channels} {word}" for word, count in marks.items() if count)
    font.draw_text(image, counts, left=after, top=top, color=_TEXT_INDEX)
    if row.nonfinite:
        beside = after + (font.text_width(counts) + 6 if counts else 0)
        font.draw_text(image, f"{row.nonfinite} NaN/Inf", left=beside, top=top, color=_NONFINITE_INDEX)


def _palette() -> NDArray[np.uint8]:
    return np.concatenate([colormaps.lookup_table("Blues", _LEVELS), np.array(_RESERVED, np.uint8)])
