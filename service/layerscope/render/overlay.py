"""Overlay: a heat map drawn over the picture that the model was given."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerscope.errors import NoPicture, OptionInvalid
from layerscope.images.background import Background
from layerscope.images.geometry import Geometry
from layerscope.limits import Limits
from layerscope.render import image_files, normalization
from layerscope.render.composition import compose
from layerscope.render.image_files import PictureFormat
from layerscope.render.layout import Layout, require_fits
from layerscope.render.options import PictureOptions
from layerscope.render.picture import Picture, picture_layout
from layerscope.render.scale import Scale
from layerscope.render.tile_group import TileGroup

Interpolation = Literal["bilinear", "nearest"]

_BYTES_A_PIXEL = 64
"""Memory per pixel: values and indices of the enlarged map, colours, the blend in 16 bits, filtered rows, and the file."""


def overlay(
    heat: NDArray[np.floating],
    background: Background,
    options: PictureOptions,
    *,
    limits: Limits,
    alpha: float = 0.5,
    interpolation: Interpolation = "bilinear",
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> Picture:
    """Draw a map of values over a picture, at the places the values belong to.

    The map covers the whole input of the model, whatever its own size. It is carried back to the picture through crop,
    padding and EXIF orientation. The range of colours is that of the map before it is enlarged. Parts of the picture
    that the model did not see stay as they are. The same arguments give the same bytes.

    Args:
        heat: Values of shape (height, width), of any real type; not modified.
        background: The picture, and the geometry of the input in it.
        options: `colormap`, `centered`, `range`, `percentile`, `scale` and `colorbar` are used.
        limits: `picture_pixels` bounds the picture; it is checked before any work.
        alpha: Opacity of the colours, from 0 (invisible) to 1.
        interpolation: "bilinear" between the centres of the map's values, or "nearest", which shows each value as the
            rectangle of the input that it covers.
        metadata: As for `render`; the entry alpha is added.
        form: The format of the file.

    Raises:
        AnswerTooLarge: The picture would have more pixels than the limit.
        NoPicture: The map is empty or has not two axes.
        OptionInvalid: `alpha` is not from 0 to 1.
    """
    _check(heat, alpha)
    layout = overlay_layout(background.geometry.original, options)
    require_fits(layout, limits.picture_pixels)
    image_files.require_format_fits(layout.width, layout.height, form)
    maps = heat[np.newaxis].astype(np.result_type(heat.dtype, np.float32), copy=False)
    scale = Scale.of([maps], options)
    palette, (extremes,), (value_range,) = scale.palette(layout), scale.extremes, scale.ranges
    values, is_seen = spread(maps[0], background.geometry, interpolation)
    nonfinite = None if extremes.nonfinite is None else ~np.isfinite(values)[np.newaxis]
    drawn = normalization.indices(
        values[np.newaxis],
        replace(extremes, nonfinite=nonfinite),
        value_range,
        levels=palette.levels,
        nonfinite_index=palette.nonfinite,
    )
    image = compose([drawn], layout, palette, labelled=(), ends=scale.bar_ends())
    blended = _blended(np.asarray(image), palette.colours, background.pixels, is_seen, alpha, options.scale)
    text = {**(metadata or {}), **scale.text_entries, "alpha": f"{alpha:g}"}
    lowest, highest = scale.ends
    return Picture(
        data=image_files.encode_rgb(blended, text, form=form),
        media_type=image_files.MEDIA_TYPES[form],
        width=layout.width,
        height=layout.height,
        value_min=lowest,
        value_max=highest,
        colormap=scale.colormap,
        nonfinite=scale.nonfinite,
        notes=scale.notes(palette),
    )


def overlay_layout(original: tuple[int, int], options: PictureOptions) -> Layout:
    """The layout of an overlay over a picture of a height and width in pixels, known before the map is computed."""
    nothing = np.broadcast_to(np.float32(0), (1, *original))
    return picture_layout([TileGroup(maps=nothing)], replace(options, labels=False))


def overlay_bytes(layout: Layout) -> int:
    """Most bytes of memory that drawing an overlay takes, without the map."""
    return _BYTES_A_PIXEL * layout.width * layout.height


def spread(
    heat: NDArray[np.floating], geometry: Geometry, interpolation: Interpolation
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Enlarge a map that covers a model's input to the picture that the input was made of.

    Interpolation is separable: first all rows, then all columns, each at the input position of the picture's pixel
    centres. That takes two passes of a few array operations, and needs no coordinates for each pixel.

    Args:
        heat: Values of shape (height, width).
        geometry: The relation between the input and the picture.
        interpolation: As for `overlay`. With "bilinear" a value that is not finite makes its neighbours non-finite.

    Returns:
        Values of the picture's height and width, and a boolean array of the same shape, True where the model saw the
        picture. Values elsewhere mean nothing.
    """
    rows, columns = geometry.positions()
    is_seen = ~np.isnan(rows)[:, np.newaxis] & ~np.isnan(columns)
    places = [
        np.nan_to_num(positions) * (count / size)
        for positions, count, size in zip((rows, columns), heat.shape, geometry.size, strict=True)
    ]
    finite = np.abs(heat[np.isfinite(heat)])
    if finite.size and finite.max() > np.finfo(heat.dtype).max / 2:
        heat = heat.astype(np.float64)  # The difference of two neighbours can be more than float32 holds.
    with np.errstate(over="ignore", invalid="ignore"):
        for axis, place in enumerate(places):
            heat = taken(heat, place, axis, interpolation)
    return geometry.upright(heat), geometry.upright(is_seen)


def taken(
    values: NDArray[np.floating], place: NDArray[np.float64], axis: int, interpolation: Interpolation
) -> NDArray[np.floating]:
    """Values at fractional places along an axis, where value i covers the places from i to i + 1."""
    last = values.shape[axis] - 1
    if interpolation == "nearest":
        return values.take(np.clip(place.astype(np.intp), 0, last), axis=axis)
    place = np.clip(place - 0.5, 0, last)  # relative to the centre of value 0
    before = place.astype(np.intp)
    weight = (place - before).astype(values.dtype)
    low: NDArray[np.floating] = values.take(before, axis=axis)
    high: NDArray[np.floating] = values.take(np.minimum(before + 1, last), axis=axis)
    high -= low
    high *= weight.reshape(-1, *(1,) * (values.ndim - 1 - axis))
    high += low
    return high


def _blended(
    indices: NDArray[np.uint8],
    colours: NDArray[np.uint8],
    picture: NDArray[np.uint8],
    is_seen: NDArray[np.bool_],
    alpha: float,
    scale: int,
) -> NDArray[np.uint8]:
    """The composed image in RGB, blended with the picture where the model saw it."""
    result = colours.take(indices, axis=0)
    height, width, _ = picture.shape
    tile = result[: height * scale, : width * scale]
    part = np.where(is_seen, np.uint8(round(alpha * 255)), np.uint8(0))
    below, part = (each.repeat(scale, axis=0).repeat(scale, axis=1) for each in (picture, part))
    tile[:] = np.asarray(Image.composite(*map(Image.fromarray, (tile, below, part))))
    return result


def _check(heat: NDArray[np.floating], alpha: float) -> None:
    if heat.ndim != 2 or heat.size == 0:
        raise NoPicture(
            f"Values of shape {heat.shape} are no map to lay over a picture.", shape=list(heat.shape)
        )
    if not 0 <= alpha <= 1:
        raise OptionInvalid(f"alpha must be from 0 to 1, not {alpha:g}.", option="alpha", value=f"{alpha:g}")
