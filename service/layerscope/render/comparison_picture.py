"""Pictures of a comparison: the change of each layer on a logarithmic axis, and the similarity of all pairs of layers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerscope.limits import Limits
from layerscope.render import colormaps, font, image_files
from layerscope.render.image_files import PictureFormat
from layerscope.render.palette import BACKGROUND, TEXT
from layerscope.render.row_pictures import SPACE, require_picture_fits, short_name, width_of_names

_GRID, _SAME, _WITHIN, _DRIFTED, _NONE = (
    (222, 224, 229),
    (120, 124, 132),
    (255, 152, 0),
    (214, 39, 40),
    (245, 222, 226),
)
_RESERVED = (BACKGROUND, TEXT, _GRID, _SAME, _WITHIN, _DRIFTED, _NONE)
_LEVELS = 256 - len(_RESERVED)
_BACKGROUND, _TEXT, _GRID_INDEX, _SAME_INDEX, _WITHIN_INDEX, _DRIFTED_INDEX, _NONE_INDEX = range(_LEVELS, 256)
_COLORS = {"same": _SAME_INDEX, "rounding": _SAME_INDEX, "within": _WITHIN_INDEX, "drifted": _DRIFTED_INDEX}

_ROW, _BAR, _HEAD, _AXIS = 15, 9, 34, 320
_TAIL = 300
_LOW, _HIGH = -8, 1
"""The ends of the axis, as powers of ten."""

_LEGEND = ": same or rounding (grey), within tolerance (orange), drifted (red)"
_CELL = 12
_MATRIX_HEAD = 34
_MATRIX_TITLE = "unbiased CKA: 0 (dark) to 1 (bright); rows: reference, columns: candidate"


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonRow:
    """A pair of layers, as drawn.

    Attributes:
        name: The address of the layer.
        change: The relative L2; None if values cannot be compared place by place.
        status: The status of the layer, which gives the colour; None for the middle one.
        note: What is written behind the bar.
    """

    name: str
    change: float | None
    status: str | None
    note: str


def comparison_picture(
    rows: Sequence[ComparisonRow],
    *,
    limits: Limits,
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> bytes:
    """Draw the relative L2 of each layer, one row a layer, as an indexed PNG or lossless WebP file.

    The axis goes from 1e-8 to 10; smaller changes have no bar, larger ones end there. The same arguments give the same bytes.

    Raises:
        AnswerTooLarge: The picture would have more pixels than `limits.picture_pixels`, or a side too long for the format.
    """
    names = [row.name for row in rows]
    width, height = comparison_picture_size(names, limits)
    image_files.require_format_fits(width, height, form)
    canvas = np.full((height, width), _BACKGROUND, np.uint8)
    left = width_of_names(names)
    for power in range(_LOW, _HIGH + 1):
        canvas[_HEAD - 4 :, left + _place(10.0**power)] = _GRID_INDEX
    for number, row in enumerate(rows):
        if row.change:
            band = canvas[_HEAD + number * _ROW :][:_BAR]
            band[:, left : left + max(1, _place(row.change))] = _COLORS.get(row.status or "", _WITHIN_INDEX)
    image = Image.fromarray(canvas)
    _write(image, "layer", SPACE // 2, 2)
    judged = any(row.status in _COLORS and row.status != "same" for row in rows)
    _write(image, f"relative L2 (logarithmic){_LEGEND if judged else ''}", left, 2)
    for power in range(_LOW, _HIGH + 1, 2):
        _write(image, f"1e{power}", left + _place(10.0**power), 16)
    for number, row in enumerate(rows):
        top = _HEAD + number * _ROW - 1
        _write(image, short_name(row.name), SPACE // 2, top)
        shown = "" if row.change is None else f"{row.change:.2g}  "
        _write(image, f"{shown}{row.note}"[:56], left + _AXIS + SPACE, top)
    return image_files.encode_indexed(image, _palette(), metadata or {}, form=form)


def comparison_picture_size(names: Sequence[str], limits: Limits) -> tuple[int, int]:
    """Width and height, in pixels, of the picture of layers with these names.

    Raises:
        AnswerTooLarge: The picture would have more pixels than `limits.picture_pixels`.
    """
    size = width_of_names(names) + _AXIS + SPACE + _TAIL, _HEAD + len(names) * _ROW
    require_picture_fits(*size, limits)
    return size


def similarity_matrix(
    values: NDArray[Any],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    limits: Limits,
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> bytes:
    """Draw the similarity of all pairs of layers, dark for 0 and less, bright for 1; pale red where there is none.

    Columns have the numbers of the list that is written beside the matrix.

    Args:
        values: (rows, columns); NaN where there is no similarity.
        rows: The names of the reference's layers.
        columns: Those of the candidate's.
        limits: `picture_pixels` bounds the picture.
        metadata: Text entries of the file.
        form: The format of the file.

    Raises:
        AnswerTooLarge: The picture would have more pixels than `limits.picture_pixels`, or a side too long for the format.
    """
    width, height = similarity_matrix_size(rows, columns, limits)
    image_files.require_format_fits(width, height, form)
    canvas = np.full((height, width), _BACKGROUND, np.uint8)
    levels = np.where(np.isnan(values), _NONE_INDEX, np.clip(np.nan_to_num(values), 0, 1) * (_LEVELS - 1))
    cells = np.repeat(np.repeat(levels.astype(np.uint8), _CELL, axis=0), _CELL, axis=1)
    left = width_of_names(rows)
    canvas[_MATRIX_HEAD : _MATRIX_HEAD + cells.shape[0], left : left + cells.shape[1]] = cells
    image = Image.fromarray(canvas)
    _write(image, _MATRIX_TITLE, SPACE // 2, 2)
    for number in range(0, len(columns), 5):
        _write(image, str(number), left + number * _CELL, 18)
    for number, name in enumerate(rows):
        _write(image, short_name(name), SPACE // 2, _MATRIX_HEAD + number * _CELL)
    beside = left + cells.shape[1] + SPACE
    for number, name in enumerate(columns):
        _write(image, f"{number}  {short_name(name)}", beside, _MATRIX_HEAD + number * _CELL)
    return image_files.encode_indexed(image, _palette(), metadata or {}, form=form)


def similarity_matrix_size(rows: Sequence[str], columns: Sequence[str], limits: Limits) -> tuple[int, int]:
    """Width and height, in pixels, of the picture of a matrix.

    Raises:
        AnswerTooLarge: The picture would have more pixels than `limits.picture_pixels`.
    """
    text = font.text_width(_MATRIX_TITLE) + SPACE // 2
    names = font.text_width(f"{len(columns)}  ") + width_of_names(columns)
    width = max(width_of_names(rows) + len(columns) * _CELL + names, text) + SPACE
    size = width, _MATRIX_HEAD + max(len(rows), len(columns)) * _CELL + SPACE
    require_picture_fits(*size, limits)
    return size


def _place(change: float) -> int:
    """The place of a change on the axis, 0 to `_AXIS - 1`."""
    power = _HIGH if not math.isfinite(change) else math.log10(change)
    share = (power - _LOW) / (_HIGH - _LOW)
    return round(max(0.0, min(1.0, share)) * (_AXIS - 1))


def _write(image: Image.Image, text: str, left: int, top: int) -> None:
    font.draw_text(image, text, left=left, top=top, color=_TEXT)


def _palette() -> NDArray[np.uint8]:
    return np.concatenate([colormaps.lookup_table("viridis", _LEVELS), np.array(_RESERVED, np.uint8)])
