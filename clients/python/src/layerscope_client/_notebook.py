"""How results show themselves in a notebook: as HTML tables with small pictures."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from layerscope_client._png import encode_png
from layerscope_client._safetensors import Array

_MAPS = 6
_SIDE = 72
_ROWS = 200
_DIGITS = 4


class ShownDict(dict[str, Any]):
    """The JSON of an answer, which shows itself in a notebook. It equals a plain dictionary of the same items."""

    def __init__(self, body: Mapping[str, Any], html: Callable[[Mapping[str, Any]], str]) -> None:
        super().__init__(body)
        self._html = html

    def _repr_html_(self) -> str:
        return self._html(self)


class Html(str):
    """Markup, which a table does not escape."""

    __slots__ = ()


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table. Every text in it is escaped, because names in answers are written by others; long tables are cut."""
    listed = list(rows)
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in listed[:_ROWS])
    rest = f"<p>and {len(listed) - _ROWS:,} more</p>" if len(listed) > _ROWS else ""
    return f"<p><b>{escape(title)}</b></p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def pictures_of(values: Array, channel_axis: int | None) -> Html:
    """Small grey pictures of the most active maps of the first image; a vector is one strip.

    Args:
        values: Of a layer, (batch, ...).
        channel_axis: The axis of the channels; None without channels.
    """
    first = np.asarray(values[:1], np.float32)
    planes = first[0] if channel_axis is None else np.moveaxis(first, channel_axis, 1)[0]
    if planes.size == 0:
        return Html("")
    if planes.ndim < 2:
        return picture(planes.reshape(1, -1), "the values of a vector")
    if planes.ndim == 2:
        return picture(planes, "a matrix")
    activity = np.nan_to_num(np.abs(planes)).reshape(len(planes), -1).mean(axis=1)
    most = np.argsort(-activity, kind="stable")[:_MAPS]
    maps = (planes[number].reshape(-1, planes.shape[-1]) for number in most)
    return Html("".join(picture(each, f"map {number}") for number, each in zip(most, maps, strict=True)))


def picture(values: Array, title: str) -> Html:
    """A matrix as a small grey picture, from its lowest value, black, to its highest."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    scaled = np.nan_to_num((values - low) / ((high - low) or 1.0), nan=0.0, posinf=1.0, neginf=0.0)
    step = -(-max(scaled.shape) // 256)
    png = encode_png((scaled[::step, ::step] * 255).clip(0, 255).astype(np.uint8))
    height = _SIDE if values.shape[0] > 1 else _SIDE // 4
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    text = escape(f"{title}: {number(low)} to {number(high)}", quote=True)
    style = f"height:{height}px;min-width:{height}px;image-rendering:pixelated;margin:1px"
    return Html(f'<img src="{source}" alt="{text}" title="{text}" style="{style}">')


def number(value: float | None) -> str:
    """A number with few digits."""
    return "" if value is None else f"{value:.{_DIGITS}g}"


def shape_text(shape: Sequence[int | None]) -> str:
    """A shape such as `28 x 28 x 16`."""
    return " x ".join("?" if side is None else str(side) for side in shape)


def _cell(value: object) -> str:
    if isinstance(value, Html):
        return f"<td>{value}</td>"
    return f"<td>{escape(number(value) if isinstance(value, float) else str(value))}</td>"
