"""A map of values over the picture that the model looked at."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerscope.errors import NoPicture, OptionInvalid
from layerscope.images.background import Backdrop
from layerscope.images.geometry import Geometry
from layerscope.limits import Limits
from layerscope.render import files, normalization
from layerscope.render.composition import compose
from layerscope.render.files import PictureFormat
from layerscope.render.layout import Layout, require_fits
from layerscope.render.options import PictureOptions
from layerscope.render.picture import Picture, measure
from layerscope.render.scale import Scale
from layerscope.render.tile_grid import Section

Interpolation = Literal["bilinear", "nearest"]

_BYTES_A_PIXEL = 64
"""Of the picture: values and indices of the spread map, colours, both blended in 16 bits, filtered, and the file."""


def overlay(
    heat: NDArray[np.floating],
    backdrop: Backdrop,
    options: PictureOptions,
    *,
    limits: Limits,
    alpha: float = 0.5,
    interpolation: Interpolation = "bilinear",
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> Picture:
    """Draw a map of values over a picture, where the model saw what the values are about.

    The map covers the whole input, whatever its own size, and is carried with it to the picture: through crop,
    padding and orientation. The range of colours is that of the map before it is enlarged. What the model did
    not see of the picture stays as it is. The same arguments give the same bytes.

    Args:
        heat: Values of shape (height, width), of any real type; not modified.
        backdrop: The picture.
        options: `colormap`, `centered`, `range`, `percentile`, `scale` and `colorbar` count.
        limits: `picture_pixels` bounds the picture; it is checked before any work.
        alpha: How much the colours cover the picture, from 0 (not at all) to 1.
        interpolation: How the map is enlarged: bilinear between the centres of its values, or "nearest", which
            shows each value as the rectangle of the input that it stands for.
        metadata: As for `render`; the entry alpha is added.
        form: The kind of file.

    Raises:
        AnswerTooLarge: The picture would have more pixels than the limit.
        NoPicture: There are no values, or they are not rows and columns.
        OptionInvalid: `alpha` is not from 0 to 1.
    """
    _check(heat, alpha)
    layout = measure_overlay(backdrop.geometry.original, options)
    require_fits(layout, limits.picture_pixels)
    files.require_side(layout.width, layout.height, form)
    maps = heat[np.newaxis].astype(np.result_type(heat.dtype, np.float32), copy=False)
    scale = Scale.of([maps], options)
    inks, (found,), (spanned,) = scale.inks(layout), scale.found, scale.spanned
    values, is_seen = spread(maps[0], backdrop.geometry, interpolation)
    nonfinite = None if found.nonfinite is None else ~np.isfinite(values)[np.newaxis]
    drawn = normalization.indices(
        values[np.newaxis],
        replace(found, nonfinite=nonfinite),
        spanned,
        levels=inks.levels,
        nonfinite_index=inks.nonfinite,
    )
    image = compose([drawn], layout, inks, labelled=(), ends=scale.bar_ends())
    blended = _blended(np.asarray(image), inks.colours, backdrop.pixels, is_seen, alpha, options.scale)
    facts = {**(metadata or {}), **scale.facts, "alpha": f"{alpha:g}"}
    lowest, highest = scale.ends
    return Picture(
        data=files.encode_rgb(blended, facts, form=form),
        media_type=files.MEDIA_TYPES[form],
        width=layout.width,
        height=layout.height,
        value_min=lowest,
        value_max=highest,
        colormap=scale.colormap,
        nonfinite=scale.nonfinite,
        notes=scale.notes(inks),
    )


def measure_overlay(original: tuple[int, int], options: PictureOptions) -> Layout:
    """Lay an overlay out over a picture of some height and width before there is anything to draw."""
    nothing = np.broadcast_to(np.float32(0), (1, *original))
    return measure([Section(maps=nothing)], replace(options, labels=False))


def overlay_bytes(layout: Layout) -> int:
    """Bytes of memory that drawing an overlay takes at most, besides the map."""
    return _BYTES_A_PIXEL * layout.width * layout.height


def spread(
    heat: NDArray[np.floating], geometry: Geometry, interpolation: Interpolation
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Enlarge a map that covers a model's input to the picture the input was made of.

    Args:
        heat: Values of shape (height, width).
        geometry: The way from the input to the picture.
        interpolation: As for `overlay`. A value that is not finite takes its neighbourhood with it.

    Returns:
        Values in the picture's height and width, and where the model saw the picture; values elsewhere mean nothing.
    """
    rows, columns = geometry.positions()
    is_seen = ~np.isnan(rows)[:, np.newaxis] & ~np.isnan(columns)
    places = [
        np.nan_to_num(positions) * (count / size)
        for positions, count, size in zip((rows, columns), heat.shape, geometry.size, strict=True)
    ]
    with np.errstate(over="ignore", invalid="ignore"):
        for axis, place in enumerate(places):
            heat = _taken(heat, place, axis, interpolation)
    return geometry.upright(heat), geometry.upright(is_seen)


def _taken(
    values: NDArray[np.floating], place: NDArray[np.float64], axis: int, interpolation: Interpolation
) -> NDArray[np.floating]:
    last = values.shape[axis] - 1
    if interpolation == "nearest":
        return values.take(np.clip(place.astype(np.intp), 0, last), axis=axis)
    place = np.clip(place - 0.5, 0, last)
    before = place.astype(np.intp)
    weight = (place - before).astype(values.dtype)
    low: NDArray[np.floating] = values.take(before, axis=axis)
    high: NDArray[np.floating] = values.take(np.minimum(before + 1, last), axis=axis)
    high -= low
    high *= weight if axis else weight[:, np.newaxis]
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
    """The composed picture in its colours, with the picture showing through where the map is."""
    result = colours.take(indices, axis=0)
    height, width, _ = picture.shape
    tile = result[: height * scale, : width * scale]
    part = np.where(is_seen, np.uint8(round(alpha * 255)), np.uint8(0))
    ground, part = (each.repeat(scale, axis=0).repeat(scale, axis=1) for each in (picture, part))
    tile[:] = np.asarray(Image.composite(*map(Image.fromarray, (tile, ground, part))))
    return result


def _check(heat: NDArray[np.floating], alpha: float) -> None:
    if heat.ndim != 2 or heat.size == 0:
        raise NoPicture(
            f"Values of shape {heat.shape} are no map to lay over a picture.", shape=list(heat.shape)
        )
    if not 0 <= alpha <= 1:
        raise OptionInvalid(f"alpha must be from 0 to 1, not {alpha:g}.", option="alpha", value=f"{alpha:g}")
