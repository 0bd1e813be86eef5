"""The picture of some feature maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import NoPicture
from layerscope.limits import Limits
from layerscope.render import colormaps, files, lettering, normalization
from layerscope.render.composition import compose
from layerscope.render.files import PictureFormat
from layerscope.render.inks import Inks, mix
from layerscope.render.layout import Layout, plan, require_room
from layerscope.render.normalization import Survey, ValueRange
from layerscope.render.options import PictureOptions

SEQUENTIAL = "viridis"
"""The colormap of values on one side of zero."""

DIVERGING = "vik"
"""The colormap of values on both sides of zero: perceptually uniform and light at zero (Crameri 2018)."""

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


def render(
    maps: NDArray[np.floating],
    options: PictureOptions,
    *,
    limits: Limits,
    names: Sequence[str] | None = None,
    about: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
) -> Picture:
    """Draw feature maps as an indexed PNG, or as WebP without loss, side by side in reading order.

    The same arguments give the same bytes. Colours are the colormap's, in 256 levels less one for each of
    background, text and non-finite values that the picture has.

    Args:
        maps: Values of shape (tiles, height, width), of any real type; not modified.
        options: How the picture is to look.
        limits: `picture_pixels` bounds the picture; it is checked before any work.
        names: A name for each tile, for `labels`; numbers from 0 if left out. They must be as many.
        about: Text entries for the PNG file, such as layer and model digest. The entries colormap,
            nonfinite, value_max and value_min are always there.
        form: The kind of file.

    Raises:
        AnswerTooLarge: The picture would have more pixels than the limit.
        NoPicture: There are no values.
    """
    if maps.size == 0:
        raise NoPicture(f"Maps of shape {maps.shape} hold no values to draw.", shape=list(maps.shape))
    labels = _labels(len(maps), options, names)
    layout = measure(maps.shape, options, names)
    require_room(layout, limits.picture_pixels)
    files.require_side(layout.width, layout.height, form)
    maps = maps.astype(np.result_type(maps.dtype, np.float32), copy=False)
    found = normalization.survey(maps)
    colormap, centered = coloring(options, found)
    spanned = normalization.fit(maps, found, options, centered=centered)
    inks = inks_for(colormap, layout, found)
    drawn = normalization.indices(maps, found, spanned, levels=inks.levels, nonfinite_index=inks.nonfinite)
    lowest, highest = options.range or spanned.ends
    facts = facts_of(options, colormap, spanned, found)
    ends = bar_ends(options, spanned, len(maps))
    image = compose(drawn, layout, inks, labels=labels, ends=ends)
    return Picture(
        data=files.encode_indexed(image, inks.colours, {**(about or {}), **facts}, form=form),
        media_type=files.MEDIA_TYPES[form],
        width=layout.width,
        height=layout.height,
        value_min=lowest,
        value_max=highest,
        colormap=colormap,
        nonfinite=found.nonfinite_count,
        notes=notes_of(found, spanned, inks),
    )


def measure(shape: tuple[int, ...], options: PictureOptions, names: Sequence[str] | None = None) -> Layout:
    """Lay a picture out before there is anything to draw.

    Args:
        shape: Tiles, height and width of the maps, none of them zero.
        options: How the picture is to look.
        names: As for `render`; only the widest counts.
    """
    labels = _labels(shape[0], options, names)
    longest = _LONGEST_NUMBER if _one_range(options, shape[0]) else _LONGEST_WORD
    return plan(
        shape,
        options,
        widest_label=max(map(lettering.width, labels)) if options.labels else None,
        bar_text_width=lettering.width(longest) if options.colorbar else None,
    )


def building_bytes(layout: Layout, values: int) -> int:
    """Bytes of memory that drawing takes at most, besides the maps as they were computed: `values` in all."""
    return _BYTES_A_VALUE * values + _BYTES_A_PIXEL * layout.width * layout.height


def _labels(tiles: int, options: PictureOptions, names: Sequence[str] | None) -> Sequence[str]:
    if not options.labels:
        return ()
    return [str(number) for number in range(tiles)] if names is None else names


def _one_range(options: PictureOptions, tiles: int) -> bool:
    return tiles == 1 or options.range is not None or options.normalize != "channel"


def coloring(options: PictureOptions, found: Survey) -> tuple[str, bool]:
    """Decide on the colormap, and whether its middle is zero."""
    fits = options.colormap is None or colormaps.is_diverging(options.colormap)
    centered = options.centered == "true" or (
        options.centered == "auto" and fits and _about_zero(options, found)
    )
    return options.colormap or (DIVERGING if centered else SEQUENTIAL), centered


def _about_zero(options: PictureOptions, found: Survey) -> bool:
    if options.range is not None:
        low, high = options.range
        return low == -high
    return options.normalize != "none" and found.both_signs


def inks_for(colormap: str, layout: Layout, found: Survey) -> Inks:
    """The palette that a picture of these values needs."""
    return mix(
        colormap,
        background=not layout.covered,
        text=layout.annotated,
        nonfinite=found.nonfinite is not None,
    )


def facts_of(options: PictureOptions, colormap: str, spanned: ValueRange, found: Survey) -> dict[str, str]:
    """What the file says of its colours."""
    lowest, highest = options.range or spanned.ends
    return {
        "colormap": colormap,
        "nonfinite": str(found.nonfinite_count),
        "value_max": str(highest),
        "value_min": str(lowest),
    }


def bar_ends(options: PictureOptions, spanned: ValueRange, tiles: int) -> tuple[str, str]:
    """Say what the ends of the colour bar are: in words, where each tile has a range of its own."""
    if _one_range(options, tiles):
        lowest, highest = options.range or spanned.ends
        return f"{lowest:.3g}", f"{highest:.3g}"
    return ("-max" if spanned.centered else "min"), "max"


def notes_of(found: Survey, spanned: ValueRange, inks: Inks) -> tuple[str, ...]:
    """Sentences about what the picture cannot show."""
    tiles = len(found.low)
    constant = np.count_nonzero(found.low == found.high)
    beyond = np.count_nonzero((found.low < spanned.low) | (found.high > spanned.high))
    sentences = {
        f"{found.nonfinite_count} values are NaN or infinite, drawn in {inks.nonfinite_name}.": found.nonfinite_count,
        f"{constant} of {tiles} maps hold one value only, drawn in one colour.": constant,
        f"{beyond} of {tiles} maps have values outside the range, drawn as its nearer end.": beyond,
    }
    return tuple(sentence for sentence, count in sentences.items() if count)
