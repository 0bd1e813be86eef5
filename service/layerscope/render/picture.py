"""The picture of some feature maps, and where each of them lies in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import NoPicture
from layerscope.limits import Limits
from layerscope.render import files, lettering, normalization
from layerscope.render.composition import compose
from layerscope.render.files import PictureFormat
from layerscope.render.layout import Layout, plan, require_fits
from layerscope.render.options import PictureOptions
from layerscope.render.scale import Scale, has_one_range
from layerscope.render.tile_grid import Section

_BYTES_A_VALUE, _BYTES_A_PIXEL = 32, 8
"""Copies of the maps, in widths that float64 needs, and of the picture: with palette, as lines of a file, packed."""

_LONGEST_NUMBER = "-1.23e-308"
_LONGEST_WORD = "-max"


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture and what its colours mean.

    Attributes:
        data: The file.
        media_type: What kind of file it is.
        width: Pixels.
        height: Pixels.
        value_min: The lowest value the colours span, over all tiles; NaN if no value is finite.
        value_max: The highest value the colours span, likewise.
        colormap: The colormap used.
        nonfinite: How many values are NaN or infinite.
        notes: Sentences about what the picture cannot show.
    """

    data: bytes = field(repr=False)
    media_type: str
    width: int
    height: int
    value_min: float
    value_max: float
    colormap: str
    nonfinite: int
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """Where a tile lies in a picture, in pixels from its upper left corner, and the values its colours span.

    The level that a pixel's colour has of all `levels`, from 0, is that of the values from `value_min` + level / levels
    of the range on. Both ends are NaN where the tile has no finite value.
    """

    x: int
    y: int
    width: int
    height: int
    value_min: float
    value_max: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Atlas:
    """A picture without its pixels.

    Attributes:
        width: Pixels.
        height: Pixels.
        colormap: The colormap used.
        levels: How many colours of it.
        value_min: The lowest value the colours span, over all tiles; NaN if no value is finite.
        value_max: The highest value the colours span, likewise.
        nonfinite: How many values are NaN or infinite.
        boxes: A box a tile, for each section.
        notes: Sentences about what the picture cannot show.
    """

    width: int
    height: int
    colormap: str
    levels: int
    value_min: float
    value_max: float
    nonfinite: int
    boxes: tuple[tuple[Box, ...], ...]
    notes: tuple[str, ...]


def render(
    maps: NDArray[np.floating],
    options: PictureOptions,
    *,
    limits: Limits,
    names: Sequence[str] | None = None,
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> Picture:
    """Draw the maps of one section, see `Section` and `render_sections`."""
    return render_sections(
        [Section(maps=maps, names=names)], options, limits=limits, metadata=metadata, form=form
    )


def render_sections(
    sections: Sequence[Section],
    options: PictureOptions,
    *,
    limits: Limits,
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> Picture:
    """Draw feature maps as an indexed PNG, or as WebP without loss: sections one below the other, tiles in reading order.

    The same arguments give the same bytes. Colours are the colormap's, in 256 levels less one for each of
    background, text and non-finite values that the picture has.

    Args:
        sections: The maps of each layer; not modified.
        options: How the picture is to look.
        limits: `picture_pixels` bounds the picture; it is checked before any work.
        metadata: Text entries for the PNG file, such as layer and model digest. The entries colormap,
            nonfinite, value_max and value_min are always there.
        form: The kind of file.

    Raises:
        AnswerTooLarge: The picture would have more pixels than the limit.
        NoPicture: There are no values.
    """
    layout = _laid_out(sections, options, limits)
    files.require_side(layout.width, layout.height, form)
    maps = _of_one_type(sections)
    scale = Scale.of(maps, options)
    inks = scale.inks(layout)
    drawn = [
        normalization.indices(each, found, spanned, levels=inks.levels, nonfinite_index=inks.nonfinite)
        for each, found, spanned in zip(maps, scale.found, scale.spanned, strict=True)
    ]
    image = compose(drawn, layout, inks, labelled=sections if options.labels else (), ends=scale.bar_ends())
    lowest, highest = scale.ends
    return Picture(
        data=files.encode_indexed(image, inks.colours, {**(metadata or {}), **scale.facts}, form=form),
        media_type=files.MEDIA_TYPES[form],
        width=layout.width,
        height=layout.height,
        value_min=lowest,
        value_max=highest,
        colormap=scale.colormap,
        nonfinite=scale.nonfinite,
        notes=scale.notes(inks),
    )


def atlas(sections: Sequence[Section], options: PictureOptions, *, limits: Limits) -> Atlas:
    """Tell where each map lies in the picture that `render_sections` would draw, and what its colours span.

    Raises:
        AnswerTooLarge, NoPicture: As for `render_sections`.
    """
    layout = _laid_out(sections, options, limits)
    scale = Scale.of(_of_one_type(sections), options)
    inks = scale.inks(layout)
    lowest, highest = scale.ends
    boxes = [
        tuple(
            Box(x=x, y=y, width=grid.tile_width, height=grid.tile_height, value_min=low, value_max=high)
            for (x, y), low, high in zip(
                grid.corners(), spanned.low.tolist(), spanned.high.tolist(), strict=True
            )
        )
        for grid, spanned in zip(layout.grids, scale.spanned, strict=True)
    ]
    return Atlas(
        width=layout.width,
        height=layout.height,
        colormap=scale.colormap,
        levels=inks.levels,
        value_min=lowest,
        value_max=highest,
        nonfinite=scale.nonfinite,
        boxes=tuple(boxes),
        notes=scale.notes(inks),
    )


def measure(sections: Sequence[Section], options: PictureOptions) -> Layout:
    """Lay a picture out. Only the shapes of maps count, and of names the widest."""
    tiles = [len(each.maps) for each in sections]
    longest = _LONGEST_NUMBER if has_one_range(options, tiles) else _LONGEST_WORD
    return plan(sections, options, bar_text_width=lettering.width(longest) if options.colorbar else None)


def building_bytes(layout: Layout, values: int) -> int:
    """Bytes of memory that drawing takes at most, besides the maps as they were computed: `values` in all."""
    return _BYTES_A_VALUE * values + _BYTES_A_PIXEL * layout.width * layout.height


def _laid_out(sections: Sequence[Section], options: PictureOptions, limits: Limits) -> Layout:
    for each in sections:
        if each.maps.size == 0:
            shape = each.maps.shape
            raise NoPicture(f"Maps of shape {shape} hold no values to draw.", shape=list(shape))
    layout = measure(sections, options)
    require_fits(layout, limits.picture_pixels)
    return layout


def _of_one_type(sections: Sequence[Section]) -> list[NDArray[np.floating]]:
    """The maps in one type, so that one range is the same for all of them: at least float32."""
    dtype = np.result_type(np.float32, *(each.maps.dtype for each in sections))
    return [each.maps.astype(dtype, copy=False) for each in sections]
