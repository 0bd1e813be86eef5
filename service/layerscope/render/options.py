"""Options of a picture of feature maps: one frozen record, checked when it is made."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from layerscope.errors import OptionInvalid
from layerscope.render import colormaps, font

Centered = Literal["auto", "true", "false"]
Normalize = Literal["channel", "layer", "picture", "none"]

MAX_SCALE = 64
MAX_GAP = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureOptions:
    """The options of a picture, named as in the HTTP contract.

    Attributes:
        colormap: A name of `colormaps.names()`. None picks a sequential map, or a diverging one if the colours are
            centred on zero.
        centered: Whether the range of values is made symmetric about zero. "auto" does so when the drawn
            values have both signs and the colormap is None or a diverging one.
        normalize: Which tiles share one range of values: none (each "channel" has its own), all tiles of a "layer", or
            all tiles of the "picture". With "none" the range is 0 to 1.
        range: The lowest and the highest value of the colours for every tile, instead of `normalize`. Values outside
            are drawn as the nearer end.
        percentile: Two percentages, 0 to 100. The values at these percentiles, instead of the smallest and the largest
            value, are the ends of the range.
        columns: Tiles per row. None makes the grid nearly square.
        gap: Pixels between tiles, 0 to 64.
        scale: Pixels per value in each direction, 1 to 64, without interpolation.
        colorbar: Whether to add a bar of the colours, with the values at its ends.
        labels: Whether to write the name of each tile above it, and those of its rows and columns, if they have names, and
            `scale` gives them the height of a letter.

    Raises:
        OptionInvalid: An option is outside its bounds or contradicts another.
    """

    colormap: str | None = None
    centered: Centered = "auto"
    normalize: Normalize = "channel"
    range: tuple[float, float] | None = None
    percentile: tuple[float, float] | None = None
    columns: int | None = None
    gap: int = 1
    scale: int = 1
    colorbar: bool = False
    labels: bool = False

    def __post_init__(self) -> None:
        if self.colormap is not None:
            colormaps.require(self.colormap)
        _check_choice("centered", self.centered, get_args(Centered))
        _check_choice("normalize", self.normalize, get_args(Normalize))
        self._check_range()
        self._check_percentile()
        _check_integer("scale", self.scale, 1, MAX_SCALE)
        _check_integer("gap", self.gap, 0, MAX_GAP)
        if self.columns is not None and self.columns < 1:
            raise _invalid("columns", self.columns, "columns must be at least 1")

    @property
    def names_fit(self) -> bool:
        """Whether the names of rows and columns are written."""
        return self.labels and self.scale >= font.LINE_HEIGHT

    def _check_range(self) -> None:
        if self.range is None:
            return
        low, high = self.range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise _invalid("range", self.range, "range must be two finite numbers, the lower one first")
        largest = float(np.finfo(np.float32).max)
        if max(-low, high) > largest:
            raise _invalid("range", self.range, f"range must stay within -{largest:.2g} to {largest:.2g}")
        if self.centered == "true" and low != -high:
            reason = "centered=true needs a range that is symmetric about zero"
            raise _invalid("range", self.range, reason)

    def _check_percentile(self) -> None:
        if self.percentile is None:
            return
        low, high = self.percentile
        if not 0 <= low < high <= 100:
            reason = "percentile must be two percentages from 0 to 100, the lower one first"
            raise _invalid("percentile", self.percentile, reason)
        if self.range is not None:
            raise _invalid("percentile", self.percentile, "percentile and range exclude each other")
        if self.normalize == "none":
            reason = "percentile needs normalize=channel or normalize=layer"
            raise _invalid("percentile", self.percentile, reason)


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise _invalid(option, value, f"{option} must be one of {', '.join(choices)}")


def _check_integer(option: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise _invalid(option, value, f"{option} must be from {lowest} to {highest}")


def _invalid(option: str, value: object, reason: str) -> OptionInvalid:
    shown = ",".join(f"{number:g}" for number in value) if isinstance(value, tuple) else str(value)
    return OptionInvalid(f"{reason}, not {shown[:64]}.", option=option, value=shown[:64])
