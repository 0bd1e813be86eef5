"""Normalization: values to palette indices, bit for bit as matplotlib's `Normalize` and `Colormap` do it.

index = floor((value - low) / (high - low) * levels). The highest value takes the last level, and values outside the
range take the nearer end. Everything is computed in the floating-point type of the values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerscope.render.options import Normalize, PictureOptions

Floats = NDArray[np.floating]
Bounds = tuple[Floats, Floats]


@dataclass(frozen=True, kw_only=True, slots=True)
class TileExtremes:
    """The extremes of maps and the positions of their non-finite values.

    Attributes:
        low: The smallest finite value of each tile, shape (tiles,); NaN for a tile without finite values.
        high: The largest finite value of each tile, likewise.
        nonfinite: True where a value is NaN or infinite, boolean of the shape of the maps; None if all are finite.
    """

    low: Floats
    high: Floats
    nonfinite: NDArray[np.bool_] | None

    @property
    def nonfinite_count(self) -> int:
        """Number of values that are NaN or infinite."""
        return 0 if self.nonfinite is None else int(np.count_nonzero(self.nonfinite))


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueRange:
    """The values that the first and the last colour stand for.

    Attributes:
        low: The value of the first colour for each tile, shape (tiles,); NaN for a tile without finite values.
        high: The value of the last colour for each tile, likewise.
        centered: Whether the range is symmetric about zero.
    """

    low: Floats
    high: Floats
    centered: bool


def extremes_of(maps: Floats) -> TileExtremes:
    """Find the extremes and the non-finite values of maps of shape (tiles, height, width)."""
    # minimum and maximum pass NaN and infinities on, so that two finite results need no mask and no second pass.
    low, high = maps.min(axis=(1, 2)), maps.max(axis=(1, 2))
    if np.isfinite(low).all() and np.isfinite(high).all():
        return TileExtremes(low=low, high=high, nonfinite=None)
    nonfinite = ~np.isfinite(maps)
    finite = np.where(nonfinite, np.nan, maps)
    low, high = np.fmin.reduce(finite, axis=(1, 2)), np.fmax.reduce(finite, axis=(1, 2))
    return TileExtremes(low=low, high=high, nonfinite=nonfinite)


def have_both_signs(extremes: Sequence[TileExtremes]) -> bool:
    """Whether some finite values are below zero and some above."""
    low, high = _overall(extremes)
    return bool(low < 0 < high)


def ends_of(ranges: Sequence[ValueRange]) -> tuple[float, float]:
    """The lowest and the highest value over all tiles; NaN if no tile has a finite value."""
    without_negative_zero = 0.0
    low, high = _overall(ranges)
    return float(low) + without_negative_zero, float(high) + without_negative_zero


def fit(
    groups: Sequence[Floats], extremes: Sequence[TileExtremes], options: PictureOptions, *, centered: bool
) -> list[ValueRange]:
    """Choose the range of values of each tile.

    Args:
        groups: Values of shape (tiles, height, width) of each group, all of one floating-point type.
        extremes: The extremes of each group.
        options: `range`, `percentile` and `normalize` are used.
        centered: Whether to widen each range to the narrowest one that is symmetric about zero.
    """
    bounds = _bounds(groups, extremes, options)
    if centered:
        bounds = [_about_zero(low, high) for low, high in bounds]
    return [
        ValueRange(
            low=np.broadcast_to(low, each.low.shape),
            high=np.broadcast_to(high, each.low.shape),
            centered=centered,
        )
        for (low, high), each in zip(bounds, extremes, strict=True)
    ]


def indices(
    maps: Floats, extremes: TileExtremes, value_range: ValueRange, *, levels: int, nonfinite_index: int
) -> NDArray[np.uint8]:
    """Map values to palette indices.

    A tile whose range is a single value has one colour: the first one, as in matplotlib, or in a centred range, where
    that value is zero, the middle one.

    Args:
        maps: Values of shape (tiles, height, width). Not modified.
        extremes: The extremes of these maps.
        value_range: The range of values of each tile.
        levels: Number of colours of the colormap, which have the indices from 0 to levels - 1.
        nonfinite_index: The index of NaN and infinities.

    Returns:
        Indices, uint8 of the shape of the maps, in their memory order.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        positions = _fractions(maps, value_range)
        positions *= levels
    np.clip(positions, 0, levels - 1, out=positions)
    if extremes.nonfinite is not None:
        positions[extremes.nonfinite] = nonfinite_index
    return positions.astype(np.uint8)


def _bounds(
    groups: Sequence[Floats], extremes: Sequence[TileExtremes], options: PictureOptions
) -> list[Bounds]:
    """The ends of the range of each group: of shape (tiles,), or (1,) or () where its tiles share one range."""
    dtype = extremes[0].low.dtype
    if options.range is not None or options.normalize == "none":
        low, high = options.range or (0, 1)
        return [(np.array([low], dtype), np.array([high], dtype))] * len(extremes)
    if options.percentile is not None:
        return _percentiles(groups, extremes, options.percentile, options.normalize)
    if options.normalize == "channel":
        return [(each.low, each.high) for each in extremes]
    if options.normalize == "layer":
        return [_overall([each]) for each in extremes]
    return [_overall(extremes)] * len(extremes)


def _about_zero(low: Floats, high: Floats) -> Bounds:
    largest = np.maximum(np.abs(low), np.abs(high))
    return -largest, largest


def _overall(ranges: Sequence[TileExtremes] | Sequence[ValueRange]) -> Bounds:
    """The lowest and the highest value of all ranges; NaN if no range is finite."""
    low = np.fmin.reduce([np.fmin.reduce(each.low) for each in ranges])
    return low, np.fmax.reduce([np.fmax.reduce(each.high) for each in ranges])


def _percentiles(
    groups: Sequence[Floats],
    extremes: Sequence[TileExtremes],
    percentages: tuple[float, float],
    normalize: Normalize,
) -> list[Bounds]:
    """The values at two percentages of the finite values of each tile, of each group, or of the whole picture."""
    finite = [
        maps if each.nonfinite is None else np.where(each.nonfinite, np.nan, maps)
        for maps, each in zip(groups, extremes, strict=True)
    ]
    if normalize == "picture":
        everything = np.concatenate([maps.reshape(1, -1) for maps in finite], axis=1)
        return [_quantiles(everything, percentages)] * len(finite)
    return [
        _quantiles(maps.reshape(1 if normalize == "layer" else len(maps), -1), percentages) for maps in finite
    ]


def _quantiles(rows: Floats, percentages: tuple[float, float]) -> Bounds:
    # One sort for all rows, which puts NaN last; numpy.nanpercentile would call Python for each row.
    ordered = np.sort(rows, axis=1)
    counts = np.count_nonzero(~np.isnan(ordered), axis=1)
    low, high = (_quantile(ordered, counts, percentage / 100) for percentage in percentages)
    return low, high


def _quantile(ordered: Floats, counts: NDArray[np.intp], fraction: float) -> Floats:
    """Interpolate linearly between the first `counts` values of each sorted row; NaN for a row without values."""
    last = np.maximum(counts - 1, 0)
    position = last * fraction
    below = position.astype(np.intp)
    above = np.minimum(below + 1, last)
    rows = np.arange(len(ordered))
    weight = (position - below).astype(ordered.dtype)
    return ordered[rows, below] * (1 - weight) + ordered[rows, above] * weight


def _fractions(maps: Floats, value_range: ValueRange) -> Floats:
    low, span = value_range.low, value_range.high - value_range.low
    if np.isinf(span).any():
        # The difference of two large values can be more than the type holds; the quotient of halves is the same.
        maps, low, span = maps / 2, low / 2, value_range.high / 2 - low / 2
    start, width = _opened(low, span, centered=value_range.centered)
    fractions = maps - start[:, np.newaxis, np.newaxis]
    fractions /= width[:, np.newaxis, np.newaxis]
    return fractions


def _opened(low: Floats, span: Floats, *, centered: bool) -> Bounds:
    """Widen an empty range by the smallest normal number, so that the division is defined.

    Its single value lies at the lower end then, or in the middle of a centred range.
    """
    closed = ~(span > 0)
    least = np.finfo(low.dtype).tiny
    start = np.where(closed & centered, -least, low)
    return start, np.where(closed, 2 * least, span)
