"""Picture of feature maps: from tile groups to the bytes of a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import NoPicture
from layerscope.limits import Limits
from layerscope.render import font, image_files, normalization
from layerscope.render.composition import compose
from layerscope.render.image_files import PictureFormat
from layerscope.render.layout import Layout, plan_layout, require_fits
from layerscope.render.options import PictureOptions
from layerscope.render.scale import Scale, has_one_range
from layerscope.render.tile_group import TileGroup

_BYTES_A_VALUE, _BYTES_A_PIXEL = 32, 8
"""Memory: copies of the maps, at the width of float64; and of the picture as indices, as rows of a file, compressed."""

LETTERS_AS_ESCAPES = "Letters that are not ASCII are drawn as their code points, such as \\u05e9."

_LONGEST_NUMBER = "-1.23e-308"
_LONGEST_WORD = "-max"
"""The widest texts beside a colour bar, so that the layout does not depend on the values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture as a file, and the meaning of its colours.

    Attributes:
        data: The file.
        media_type: The media type of the file.
        width: Width in pixels.
        height: Height in pixels.
        value_min: The lowest value of the colours, over all tiles; NaN if no value is finite.
        value_max: The highest value of the colours, likewise.
        colormap: The name of the colormap.
        nonfinite: Number of values that are NaN or infinite.
        notes: Sentences about values that the colours cannot show.
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


def render(
    maps: NDArray[np.floating],
    options: PictureOptions,
    *,
    limits: Limits,
    names: Sequence[str] | None = None,
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> Picture:
    """Draw the maps of one tile group; see `TileGroup` and `render_groups`."""
    return render_groups(
        [TileGroup(maps=maps, names=names)], options, limits=limits, metadata=metadata, form=form
    )


def render_groups(
    groups: Sequence[TileGroup],
    options: PictureOptions,
    *,
    limits: Limits,
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> Picture:
    """Draw feature maps as an indexed PNG or lossless WebP file: groups one below the other, tiles in reading order.

    The same arguments give the same bytes. The colormap has 256 levels, less one each for background, text and
    non-finite values if the picture has them.

    Args:
        groups: The maps of each layer; not modified.
        options: The options of the picture.
        limits: `picture_pixels` bounds the picture; it is checked before any work.
        metadata: Text entries for the PNG file, such as layer and model digest. The entries `colormap`, `nonfinite`,
            `value_max` and `value_min` are always added.
        form: The format of the file.

    Raises:
        AnswerTooLarge: The picture would have more pixels than the limit, or a side too long for the format.
        NoPicture: A group has no values.
    """
    layout = checked_layout(groups, options, limits)
    image_files.require_format_fits(layout.width, layout.height, form)
    maps = maps_of_one_type(groups)
    scale = Scale.of(maps, options)
    palette = scale.palette(layout)
    drawn = [
        normalization.indices(
            each, extremes, value_range, levels=palette.levels, nonfinite_index=palette.nonfinite
        )
        for each, extremes, value_range in zip(maps, scale.extremes, scale.ranges, strict=True)
    ]
    image = compose(drawn, layout, palette, labelled=groups if options.labels else (), ends=scale.bar_ends())
    lowest, highest = scale.ends
    return Picture(
        data=image_files.encode_indexed(
            image, palette.colours, {**(metadata or {}), **scale.text_entries}, form=form
        ),
        media_type=image_files.MEDIA_TYPES[form],
        width=layout.width,
        height=layout.height,
        value_min=lowest,
        value_max=highest,
        colormap=scale.colormap,
        nonfinite=scale.nonfinite,
        notes=(*scale.notes(palette), *notes_on_names(groups, options)),
    )


def notes_on_names(groups: Sequence[TileGroup], options: PictureOptions) -> Sequence[str]:
    """A sentence if the font lacks letters of the names of rows and columns."""
    sides = [each for group in groups for each in group.sides or ()] if options.names_fit else []
    names = {name for each in sides for name in (*each.rows, *each.columns)}
    return [] if all(map(font.has_all, names)) else [LETTERS_AS_ESCAPES]


def picture_layout(groups: Sequence[TileGroup], options: PictureOptions) -> Layout:
    """The layout of a picture, from the shapes of the maps and their widest name."""
    tiles = [len(each.maps) for each in groups]
    longest = _LONGEST_NUMBER if has_one_range(options, tiles) else _LONGEST_WORD
    return plan_layout(groups, options, bar_text_width=font.text_width(longest) if options.colorbar else None)


def building_bytes(layout: Layout, values: int) -> int:
    """Most bytes of memory that drawing takes, without the maps themselves, which have `values` values in all."""
    return _BYTES_A_VALUE * values + _BYTES_A_PIXEL * layout.width * layout.height


def checked_layout(groups: Sequence[TileGroup], options: PictureOptions, limits: Limits) -> Layout:
    """The layout of a picture that can be drawn.

    Raises:
        AnswerTooLarge: The picture would have more pixels than the limit.
        NoPicture: A group has no values.
    """
    for each in groups:
        if each.maps.size == 0:
            shape = each.maps.shape
            raise NoPicture(f"Maps of shape {shape} hold no values to draw.", shape=list(shape))
    layout = picture_layout(groups, options)
    require_fits(layout, limits.picture_pixels)
    return layout


def maps_of_one_type(groups: Sequence[TileGroup]) -> list[NDArray[np.floating]]:
    """The maps in one floating-point type, at least float32, so that one range has the same ends for all of them."""
    dtype = np.result_type(np.float32, *(each.maps.dtype for each in groups))
    return [each.maps.astype(dtype, copy=False) for each in groups]
