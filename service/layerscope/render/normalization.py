"""From values to palette indices, bit for bit as matplotlib's `Normalize` and `Colormap` do it.

index = floor((value - low) / (high - low) * levels); the highest value takes the last level, and what lies
outside the range takes the nearer end. All of it is computed in the type of the values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerscope.render.options import Normalize, PictureOptions

Floats = NDArray[np.floating]
Bounds = tuple[Floats, Floats]


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What there is to draw.

    Attributes:
        low: The smallest finite value of each tile, shape (tiles,); NaN where a tile has none.
        high: The largest likewise.
        nonfinite: Where values are NaN or infinite, boolean of the maps' shape; None if nowhere.
    """

    low: Floats
    high: Floats
    nonfinite: NDArray[np.bool_] | None

    @property
    def nonfinite_count(self) -> int:
        """How many values are NaN or infinite."""
        return 0 if self.nonfinite is None else int(np.count_nonzero(self.nonfinite))


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueRange:
    """The values at the ends of the colours.

    Attributes:
        low: The value of the first colour for each tile, shape (tiles,); NaN where nothing is finite.
        high: The value of the last colour likewise.
        centered: Whether the range is symmetric about zero.
    """

    low: Floats
    high: Floats
    centered: bool


def survey(maps: Floats) -> Survey:
    """Find the extremes and the non-finite values of maps of shape (tiles, height, width)."""
    low, high = maps.min(axis=(1, 2)), maps.max(axis=(1, 2))
    if np.isfinite(low).all() and np.isfinite(high).all():
        return Survey(low=low, high=high, nonfinite=None)
    nonfinite = ~np.isfinite(maps)
    finite = np.where(nonfinite, np.nan, maps)
    low, high = np.fmin.reduce(finite, axis=(1, 2)), np.fmax.reduce(finite, axis=(1, 2))
    return Survey(low=low, high=high, nonfinite=nonfinite)


def have_both_signs(found: Sequence[Survey]) -> bool:
    """Whether there are finite values below and above zero."""
    low, high = _extremes(found)
    return bool(low < 0 < high)


def ends_of(spanned: Sequence[ValueRange]) -> tuple[float, float]:
    """The lowest and the highest value over all tiles; NaN if none has a finite value."""
    without_negative_zero = 0.0
    low, high = _extremes(spanned)
    return float(low) + without_negative_zero, float(high) + without_negative_zero


def fit(
    sections: Sequence[Floats], found: Sequence[Survey], options: PictureOptions, *, centered: bool
) -> list[ValueRange]:
    """Choose the range of values of each tile.

    Args:
        sections: Values of shape (tiles, height, width) of each section, all of one type.
        found: The survey of each.
        options: `range`, `percentile` and `normalize` count.
        centered: Whether to widen the range to the narrowest one that is symmetric about zero.
    """
    bounds = _bounds(sections, found, options)
    if centered:
        bounds = [_about_zero(low, high) for low, high in bounds]
    return [
        ValueRange(
            low=np.broadcast_to(low, each.low.shape),
            high=np.broadcast_to(high, each.low.shape),
            centered=centered,
        )
        for (low, high), each in zip(bounds, found, strict=True)
    ]


def indices(
    maps: Floats, found: Survey, spanned: ValueRange, *, levels: int, nonfinite_index: int
) -> NDArray[np.uint8]:
    """Map values to palette indices.

    A tile whose range is a single value is flat: that value takes the first colour, as in matplotlib, or
    the middle one in a centred range, where it is zero.

    Args:
        maps: Values of shape (tiles, height, width). Not modified.
        found: The survey of these maps.
        spanned: The range of values of each tile.
        levels: How many colours the map has; they take the indices from 0.
        nonfinite_index: The index of NaN and infinities.

    Returns:
        Indices of the maps' shape, in the maps' memory order.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        positions = _fractions(maps, spanned)
        positions *= levels
    np.clip(positions, 0, levels - 1, out=positions)
    if found.nonfinite is not None:
        positions[found.nonfinite] = nonfinite_index
    return positions.astype(np.uint8)


def _bounds(sections: Sequence[Floats], found: Sequence[Survey], options: PictureOptions) -> list[Bounds]:
    """The ends of the range of each section, for each of its tiles or for all of them."""
    dtype = found[0].low.dtype
    if options.range is not None or options.normalize == "none":
        low, high = options.range or (0, 1)
        return [(np.array([low], dtype), np.array([high], dtype))] * len(found)
    if options.percentile is not None:
        return _percentiles(sections, found, options.percentile, options.normalize)
    if options.normalize == "channel":
        return [(each.low, each.high) for each in found]
    if options.normalize == "layer":
        return [_extremes([each]) for each in found]
    return [_extremes(found)] * len(found)


def _about_zero(low: Floats, high: Floats) -> Bounds:
    largest = np.maximum(np.abs(low), np.abs(high))
    return -largest, largest


def _extremes(ranges: Sequence[Survey] | Sequence[ValueRange]) -> Bounds:
    """The lowest and the highest value of all; NaN if there is none that is finite."""
    low = np.fmin.reduce([np.fmin.reduce(each.low) for each in ranges])
    return low, np.fmax.reduce([np.fmax.reduce(each.high) for each in ranges])


def _percentiles(
    sections: Sequence[Floats],
    found: Sequence[Survey],
    percentages: tuple[float, float],
    normalize: Normalize,
) -> list[Bounds]:
    finite = [
        maps if each.nonfinite is None else np.where(each.nonfinite, np.nan, maps)
        for maps, each in zip(sections, found, strict=True)
    ]
    if normalize == "picture":
        everything = np.concatenate([maps.reshape(1, -1) for maps in finite], axis=1)
        return [_quantiles(everything, percentages)] * len(finite)
    return [
        _quantiles(maps.reshape(1 if normalize == "layer" else len(maps), -1), percentages) for maps in finite
    ]


def _quantiles(rows: Floats, percentages: tuple[float, float]) -> Bounds:
    ordered = np.sort(rows, axis=1)
    counts = np.count_nonzero(~np.isnan(ordered), axis=1)
    low, high = (_quantile(ordered, counts, percentage / 100) for percentage in percentages)
    return low, high


def _quantile(ordered: Floats, counts: NDArray[np.intp], fraction: float) -> Floats:
    """Interpolate in the first `counts` values of each row, which are in order; NaN where there are none."""
    last = np.maximum(counts - 1, 0)
    position = last * fraction
    below = position.astype(np.intp)
    above = np.minimum(below + 1, last)
    rows = np.arange(len(ordered))
    weight = (position - below).astype(ordered.dtype)
    return ordered[rows, below] * (1 - weight) + ordered[rows, above] * weight


def _fractions(maps: Floats, spanned: ValueRange) -> Floats:
    low, span = spanned.low, spanned.high - spanned.low
    if np.isinf(span).any():
        maps, low, span = maps / 2, low / 2, spanned.high / 2 - low / 2
    start, width = _opened(low, span, centered=spanned.centered)
    fractions = maps - start[:, np.newaxis, np.newaxis]
    fractions /= width[:, np.newaxis, np.newaxis]
    return fractions


def _opened(low: Floats, span: Floats, *, centered: bool) -> Bounds:
    """Widen a range of a single value the least there is, with that value at the bottom or, centred, midway."""
    closed = ~(span > 0)
    least = np.finfo(low.dtype).tiny
    start = np.where(closed & centered, -least, low)
    return start, np.where(closed, 2 * least, span)
