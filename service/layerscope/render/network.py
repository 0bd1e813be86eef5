"""A whole network in one picture: a row a layer, with its values on an axis that all layers share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerscope.errors import AnswerTooLarge
from layerscope.limits import Limits
from layerscope.render import colormaps, files, lettering
from layerscope.render.files import PictureFormat
from layerscope.render.inks import BACKGROUND, TEXT

if TYPE_CHECKING:
    from layerscope.tensors.statistics import Axis

Canvas = NDArray[np.uint8]

STRIP = 320
"""Pixels across of a layer's values, and parts of the axis they are counted in."""

_DEAD, _SATURATED, _NONFINITE, _ZEROS, _TRACK = (
    (214, 39, 40),
    (255, 152, 0),
    (255, 0, 255),
    (120, 124, 132),
    (232, 233, 236),
)
_RESERVED = (BACKGROUND, TEXT, _TRACK, _ZEROS, _DEAD, _SATURATED, _NONFINITE)
_LEVELS = 256 - len(_RESERVED)
_BACKGROUND, _TEXT, _TRACK_INK, _ZEROS_INK, _DEAD_INK, _SATURATED_INK, _NONFINITE_INK = range(_LEVELS, 256)

_ROW, _BAR, _SPACE, _BAR_SPACE, _HEAD = 15, 10, 12, 80, 34
_LONGEST_NAME = 48
_LEGEND = "channels dead (red), saturated (orange)"
_TAIL = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerRow:
    """What is drawn of a layer.

    Attributes:
        name: The layer's address.
        density: How many values other than zero lie in each of `STRIP` parts of the axis.
        fraction_zero: The share of values that are zero; NaN without a finite value.
        channels: How many there are; 0 without channels.
        dead: How many of them are dead.
        saturated: How many are saturated.
        nonfinite: How many values are NaN or infinite.
    """

    name: str
    density: NDArray[np.int64]
    fraction_zero: float
    channels: int
    dead: int
    saturated: int
    nonfinite: int


def network_picture(
    rows: Sequence[LayerRow],
    axis: "Axis",
    *,
    limits: Limits,
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> bytes:
    """Draw what the values of layers are like, one row a layer, as an indexed PNG or as WebP.

    From left to right: the address; how the values that are not zero are spread along the axis, the densest part of
    each layer darkest; the share of zeros; the shares of dead and of saturated channels, with their numbers, and
    values that are not finite. The same arguments give the same bytes.

    Raises:
        AnswerTooLarge: The picture would have more pixels than `limits.picture_pixels`.
    """
    width, height = network_size([row.name for row in rows], limits)
    files.require_side(width, height, form)
    canvas = np.full((height, width), _BACKGROUND, np.uint8)
    left = _strip_left([row.name for row in rows])
    for number, row in enumerate(rows):
        _draw(canvas[_HEAD + number * _ROW :][:_BAR], row, left)
    zero = left + round(float(axis.places(np.array(0.0))) * (STRIP - 1))
    canvas[_HEAD - 4 : height, zero] = np.where(
        canvas[_HEAD - 4 : height, zero] == _BACKGROUND, _TRACK_INK, canvas[_HEAD - 4 : height, zero]
    )
    image = Image.fromarray(canvas)
    _write_head(image, axis, left, zero)
    for number, row in enumerate(rows):
        _write(image, row, left, _HEAD + number * _ROW - 1)
    return files.encode_indexed(image, _palette(), metadata or {}, form=form)


def network_size(names: Sequence[str], limits: Limits) -> tuple[int, int]:
    """Width and height of the picture of layers of these names.

    Raises:
        AnswerTooLarge: It would have more pixels than `limits.picture_pixels`.
    """
    width, height = _strip_left(names) + STRIP + _TAIL, _HEAD + len(names) * _ROW
    if width * height > limits.picture_pixels:
        raise AnswerTooLarge(
            f"The picture would have {width * height:,} pixels, more than {limits.picture_pixels:,}",
            ways=("select fewer layers (layers=)",),
            pixels=width * height,
            limit=limits.picture_pixels,
        )
    return width, height


def _strip_left(names: Sequence[str]) -> int:
    return _SPACE // 2 + max(lettering.width(_short(name)) for name in [*names, "layer"]) + _SPACE


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"...{name[3 - _LONGEST_NAME :]}"


def _draw(band: Canvas, row: LayerRow, left: int) -> None:
    density = row.density / max(1, row.density.max())
    # The square root shows what is rare; what is there at all is never quite white.
    inks = np.where(row.density > 0, 24 + np.sqrt(density) * (_LEVELS - 25), _BACKGROUND)
    band[:, left : left + STRIP] = inks.astype(np.uint8)
    zeros, channels = _bars(left)
    band[:, zeros : zeros + _BAR_SPACE] = _TRACK_INK
    _fill(band, zeros, 0 if np.isnan(row.fraction_zero) else row.fraction_zero, _ZEROS_INK)
    if row.channels:
        band[:, channels : channels + _BAR_SPACE] = _TRACK_INK
        _fill(band, channels, (row.dead + row.saturated) / row.channels, _SATURATED_INK)
        _fill(band, channels, row.dead / row.channels, _DEAD_INK)


def _bars(left: int) -> tuple[int, int]:
    zeros = left + STRIP + _SPACE
    return zeros, zeros + _BAR_SPACE + _SPACE


def _fill(band: Canvas, left: int, share: float, ink: int) -> None:
    """A bar; what is more than nothing is at least one pixel."""
    band[:, left : left + int(np.ceil(share * _BAR_SPACE))] = ink


def _write_head(image: Image.Image, axis: "Axis", left: int, zero: int) -> None:
    zeros, channels = _bars(left)
    lettering.write(image, "layer", left=_SPACE // 2, top=2, ink=_TEXT)
    lettering.write(image, "values other than 0 (asinh axis)", left=left, top=2, ink=_TEXT)
    lettering.write(image, "zeros", left=zeros, top=2, ink=_TEXT)
    lettering.write(image, _LEGEND, left=channels, top=2, ink=_TEXT)
    low, high = f"{axis.low:.3g}", f"{axis.high:.3g}"
    right = left + STRIP - lettering.width(high)
    lettering.write(image, high, left=right, top=16, ink=_TEXT)
    if axis.low < 0:
        lettering.write(image, low, left=left, top=16, ink=_TEXT)
    if left + lettering.width(low) < zero - 6 < right - 12 or axis.low == 0:
        lettering.write(image, "0", left=max(left, zero - 3), top=16, ink=_TEXT)


def _write(image: Image.Image, row: LayerRow, left: int, top: int) -> None:
    _, channels = _bars(left)
    lettering.write(image, _short(row.name), left=_SPACE // 2, top=top, ink=_TEXT)
    after = channels + _BAR_SPACE + 6
    marks = {"dead": row.dead, "saturated": row.saturated}
    said = ", ".join(f"{count} of {row.channels} {word}" for word, count in marks.items() if count)
    lettering.write(image, said, left=after, top=top, ink=_TEXT)
    if row.nonfinite:
        beside = after + (lettering.width(said) + 6 if said else 0)
        lettering.write(image, f"{row.nonfinite} NaN/Inf", left=beside, top=top, ink=_NONFINITE_INK)


def _palette() -> NDArray[np.uint8]:
    return np.concatenate([colormaps.palette("Blues", _LEVELS), np.array(_RESERVED, np.uint8)])
