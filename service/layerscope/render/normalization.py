"""From values to palette indices, bit for bit as matplotlib's `Normalize` and `Colormap` do it.

index = floor((value - low) / (high - low) * levels); the highest value takes the last level, and what lies
outside the range takes the nearer end. All of it is computed in the type of the values.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerscope.render.options import PictureOptions

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

    @property
    def both_signs(self) -> bool:
        """Whether there are finite values below and above zero."""
        return bool(np.fmin.reduce(self.low) < 0 < np.fmax.reduce(self.high))


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

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value over all tiles; NaN if none has a finite value."""
        without_negative_zero = 0.0
        return (
            float(np.fmin.reduce(self.low)) + without_negative_zero,
            float(np.fmax.reduce(self.high)) + without_negative_zero,
        )


def survey(maps: Floats) -> Survey:
    """Find the extremes and the non-finite values of maps of shape (tiles, height, width)."""
    low, high = maps.min(axis=(1, 2)), maps.max(axis=(1, 2))
    if np.isfinite(low).all() and np.isfinite(high).all():
        return Survey(low=low, high=high, nonfinite=None)
    nonfinite = ~np.isfinite(maps)
    finite = np.where(nonfinite, np.nan, maps)
    low, high = np.fmin.reduce(finite, axis=(1, 2)), np.fmax.reduce(finite, axis=(1, 2))
    return Survey(low=low, high=high, nonfinite=nonfinite)


def fit(maps: Floats, found: Survey, options: PictureOptions, *, centered: bool) -> ValueRange:
    """Choose the range of values of each tile.

    Args:
        maps: Values of shape (tiles, height, width).
        found: The survey of these maps.
        options: `range`, `percentile` and `normalize` count.
        centered: Whether to widen the range to the narrowest one that is symmetric about zero.
    """
    low, high = _bounds(maps, found, options)
    if centered:
        high = np.maximum(np.abs(low), np.abs(high))
        low = -high
    return ValueRange(low=low, high=high, centered=centered)


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


def _bounds(maps: Floats, found: Survey, options: PictureOptions) -> Bounds:
    shape, dtype = found.low.shape, found.low.dtype
    if options.range is not None:
        low, high = options.range
        return np.full(shape, low, dtype), np.full(shape, high, dtype)
    if options.normalize == "none":
        return np.zeros(shape, dtype), np.ones(shape, dtype)
    layer = options.normalize == "layer"
    if options.percentile is not None:
        return _percentiles(maps, found, options.percentile, layer=layer)
    if layer:
        return _everywhere(shape, np.fmin.reduce(found.low), np.fmax.reduce(found.high))
    return found.low, found.high


def _percentiles(maps: Floats, found: Survey, percentages: tuple[float, float], *, layer: bool) -> Bounds:
    finite = maps if found.nonfinite is None else np.where(found.nonfinite, np.nan, maps)
    ordered = np.sort(finite.reshape(1 if layer else len(maps), -1), axis=1)
    counts = np.count_nonzero(~np.isnan(ordered), axis=1)
    low, high = (_quantile(ordered, counts, percentage / 100) for percentage in percentages)
    return _everywhere(found.low.shape, low, high)


def _everywhere(shape: tuple[int, ...], low: Floats, high: Floats) -> Bounds:
    return np.broadcast_to(low, shape), np.broadcast_to(high, shape)


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
