"""Colour scale of a picture: one colormap for the whole picture, and a range of values for each tile."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from layerscope.render import colormaps, normalization
from layerscope.render.layout import Layout
from layerscope.render.normalization import Floats, TileExtremes, ValueRange, ends_of, have_both_signs
from layerscope.render.options import PictureOptions
from layerscope.render.palette import Palette, make_palette

SEQUENTIAL = "viridis"
"""The default colormap of values on one side of zero."""

DIVERGING = "vik"
"""The default colormap of values on both sides of zero: perceptually uniform, light at zero (Crameri 2018,
"Scientific colour maps", doi:10.5281/zenodo.1243862)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """The meaning of a picture's colours.

    Attributes:
        options: The options of the picture.
        colormap: The name of the colormap.
        extremes: The extremes of the maps and their non-finite values, for each group.
        ranges: The values at the ends of the colours, for each group.
    """

    options: PictureOptions
    colormap: str
    extremes: tuple[TileExtremes, ...]
    ranges: tuple[ValueRange, ...]

    @classmethod
    def of(cls, groups: Sequence[Floats], options: PictureOptions) -> "Scale":
        """Choose colours for the maps of each group, shape (tiles, height, width), all of one floating-point type."""
        extremes = tuple(map(normalization.extremes_of, groups))
        colormap, centered = _coloring(options, extremes)
        ranges = normalization.fit(groups, extremes, options, centered=centered)
        return cls(options=options, colormap=colormap, extremes=extremes, ranges=tuple(ranges))

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value of the colours, over all tiles; NaN if no value is finite."""
        return self.options.range or ends_of(self.ranges)

    @property
    def nonfinite(self) -> int:
        """Number of values that are NaN or infinite."""
        return sum(each.nonfinite_count for each in self.extremes)

    @property
    def text_entries(self) -> dict[str, str]:
        """Text entries of the file that describe its colours."""
        lowest, highest = self.ends
        return {
            "colormap": self.colormap,
            "nonfinite": str(self.nonfinite),
            "value_max": str(highest),
            "value_min": str(lowest),
        }

    def palette(self, layout: Layout) -> Palette:
        """The palette that a picture of these values needs."""
        return make_palette(
            self.colormap,
            background=not layout.covered,
            text=layout.annotated,
            nonfinite=any(each.nonfinite is not None for each in self.extremes),
        )

    def bar_ends(self) -> tuple[str, str]:
        """The texts at the ends of the colour bar: numbers, or words where tiles have different ranges."""
        tiles = [len(each.low) for each in self.extremes]
        if has_one_range(self.options, tiles):
            lowest, highest = self.ends
            return f"{lowest:.3g}", f"{highest:.3g}"
        return ("-max" if self.ranges[0].centered else "min"), "max"

    def notes(self, palette: Palette) -> tuple[str, ...]:
        """Sentences about values that the colours cannot show."""
        pairs = list(zip(self.extremes, self.ranges, strict=True))
        tiles = sum(len(each.low) for each in self.extremes)
        constant = sum(np.count_nonzero(each.low == each.high) for each in self.extremes)
        beyond = sum(
            np.count_nonzero((each.low < span.low) | (each.high > span.high)) for each, span in pairs
        )
        sentences = {
            f"{self.nonfinite} values are NaN or infinite, drawn in {palette.nonfinite_name}.": self.nonfinite,
            f"{constant} of {tiles} maps hold one value only, drawn in one colour.": constant,
            f"{beyond} of {tiles} maps have values outside the range, drawn as its nearer end.": beyond,
        }
        return tuple(sentence for sentence, count in sentences.items() if count)


def has_one_range(options: PictureOptions, tiles: Sequence[int]) -> bool:
    """Whether all tiles of a picture share one range of values.

    Args:
        options: The options of the picture.
        tiles: Number of tiles of each group.
    """
    if options.range is not None or options.normalize in {"picture", "none"}:
        return True
    return sum(tiles) == 1 or (options.normalize == "layer" and len(tiles) == 1)


def _coloring(options: PictureOptions, extremes: Sequence[TileExtremes]) -> tuple[str, bool]:
    """Choose the colormap, and whether its middle is zero.

    With `centered=auto` the middle is zero if the values have both signs, and the colormap, if one is named, is
    diverging: on a sequential one a centre means nothing.
    """
    fits = options.colormap is None or colormaps.is_diverging(options.colormap)
    centered = options.centered == "true" or (
        options.centered == "auto" and fits and _spans_zero(options, extremes)
    )
    return options.colormap or (DIVERGING if centered else SEQUENTIAL), centered


def _spans_zero(options: PictureOptions, extremes: Sequence[TileExtremes]) -> bool:
    if options.range is not None:
        low, high = options.range
        return low == -high
    return options.normalize != "none" and have_both_signs(extremes)
