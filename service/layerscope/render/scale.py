"""What the colours of a picture stand for: one colormap for all of it, and a range of values for each tile."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from layerscope.render import colormaps, normalization
from layerscope.render.inks import Inks, mix
from layerscope.render.layout import Layout
from layerscope.render.normalization import Floats, Survey, ValueRange, ends_of, have_both_signs
from layerscope.render.options import PictureOptions

SEQUENTIAL = "viridis"
"""The colormap of values on one side of zero."""

DIVERGING = "vik"
"""The colormap of values on both sides of zero: perceptually uniform and light at zero (Crameri 2018)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """What the colours of a picture stand for.

    Attributes:
        options: How the picture is to look.
        colormap: The colormap.
        found: What there is to draw, of each section.
        spanned: The values at the ends of the colours, of each section.
    """

    options: PictureOptions
    colormap: str
    found: tuple[Survey, ...]
    spanned: tuple[ValueRange, ...]

    @classmethod
    def of(cls, sections: Sequence[Floats], options: PictureOptions) -> "Scale":
        """Choose colours for maps of shape (tiles, height, width), of each section, all of one type."""
        found = tuple(map(normalization.survey, sections))
        colormap, centered = _coloring(options, found)
        spanned = normalization.fit(sections, found, options, centered=centered)
        return cls(options=options, colormap=colormap, found=found, spanned=tuple(spanned))

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value the colours span, over all tiles; NaN if no value is finite."""
        return self.options.range or ends_of(self.spanned)

    @property
    def nonfinite(self) -> int:
        """How many values are NaN or infinite."""
        return sum(each.nonfinite_count for each in self.found)

    @property
    def facts(self) -> dict[str, str]:
        """What the file says of its colours."""
        lowest, highest = self.ends
        return {
            "colormap": self.colormap,
            "nonfinite": str(self.nonfinite),
            "value_max": str(highest),
            "value_min": str(lowest),
        }

    def inks(self, layout: Layout) -> Inks:
        """The palette that a picture of these values needs."""
        return mix(
            self.colormap,
            background=not layout.covered,
            text=layout.annotated,
            nonfinite=any(each.nonfinite is not None for each in self.found),
        )

    def bar_ends(self) -> tuple[str, str]:
        """Say what the ends of the colour bar are: in words, where tiles have ranges of their own."""
        tiles = [len(each.low) for each in self.found]
        if has_one_range(self.options, tiles):
            lowest, highest = self.ends
            return f"{lowest:.3g}", f"{highest:.3g}"
        return ("-max" if self.spanned[0].centered else "min"), "max"

    def notes(self, inks: Inks) -> tuple[str, ...]:
        """Sentences about what the picture cannot show."""
        pairs = list(zip(self.found, self.spanned, strict=True))
        tiles = sum(len(each.low) for each in self.found)
        constant = sum(np.count_nonzero(each.low == each.high) for each in self.found)
        beyond = sum(
            np.count_nonzero((each.low < span.low) | (each.high > span.high)) for each, span in pairs
        )
        sentences = {
            f"{self.nonfinite} values are NaN or infinite, drawn in {inks.nonfinite_name}.": self.nonfinite,
            f"{constant} of {tiles} maps hold one value only, drawn in one colour.": constant,
            f"{beyond} of {tiles} maps have values outside the range, drawn as its nearer end.": beyond,
        }
        return tuple(sentence for sentence, count in sentences.items() if count)


def has_one_range(options: PictureOptions, tiles: Sequence[int]) -> bool:
    """Whether all tiles of a picture have one range of values.

    Args:
        options: How the picture is to look.
        tiles: How many tiles there are in each section.
    """
    if options.range is not None or options.normalize in {"picture", "none"}:
        return True
    return sum(tiles) == 1 or (options.normalize == "layer" and len(tiles) == 1)


def _coloring(options: PictureOptions, found: Sequence[Survey]) -> tuple[str, bool]:
    """Decide on the colormap, and whether its middle is zero."""
    fits = options.colormap is None or colormaps.is_diverging(options.colormap)
    centered = options.centered == "true" or (
        options.centered == "auto" and fits and _about_zero(options, found)
    )
    return options.colormap or (DIVERGING if centered else SEQUENTIAL), centered


def _about_zero(options: PictureOptions, found: Sequence[Survey]) -> bool:
    if options.range is not None:
        low, high = options.range
        return low == -high
    return options.normalize != "none" and have_both_signs(found)
