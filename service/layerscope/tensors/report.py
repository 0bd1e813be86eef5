"""Report of a layer: statistics, histograms, and the channels that are dead or saturated."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from layerscope.tensors.activations import Activation
from layerscope.tensors.statistics import Floats, Statistics, channels_last, finite_or_none, statistics_of

_SATURATION_DISTANCE = 0.01
"""Distance from an end of the layer's range, as a share of the range, within which a value counts as saturated."""

_SATURATION_SHARE = 0.95
"""Share of saturated values from which on a channel counts as saturated."""

_SATURATION_VALUES = 16
"""Fewest values of a channel that can count as saturated."""


@dataclass(frozen=True)
class Histogram:
    """Numbers of finite values in bins of equal width, from the smallest value of the layer to its largest.

    Attributes:
        edges: The edges of the bins, float64 of shape (bins + 1,).
        counts: Number of values of the layer in each bin, shape (bins,).
        channels: Number of values of each channel in each bin, shape (channels, bins); None without channels.
    """

    edges: Floats
    counts: NDArray[np.int64]
    channels: NDArray[np.int64] | None


@dataclass(frozen=True)
class Report:
    """What the values of a layer are like, over all images of a batch.

    A channel is dead if all its values are zero. It is saturated if it has at least 16 values and 95 % of them lie within
    1 % of the layer's range from one of its ends, that end not being zero: sigmoid, tanh and clipped units do so when
    they no longer distinguish their inputs.

    Attributes:
        statistics: Of the layer and of its channels.
        histogram: Of the layer and of its channels.
        dead: The numbers of the dead channels.
        saturated: The numbers of the saturated channels.
    """

    statistics: Statistics
    histogram: Histogram
    dead: tuple[int, ...]
    saturated: tuple[int, ...]

    def as_json(self, histograms: Literal["none", "layer", "channel"]) -> dict[str, Any]:
        """As `Statistics.as_json`, with `dead`, `saturated` and the requested histograms."""
        body = {**self.statistics.as_json(), "dead": list(self.dead), "saturated": list(self.saturated)}
        if histograms == "none":
            return body
        shown = self.histogram
        body["histogram"] = {"edges": finite_or_none(shown.edges), "counts": shown.counts.tolist()}
        if histograms == "channel" and shown.channels is not None:
            body["channels"]["histogram"] = shown.channels.tolist()
        return body


def report_of(activation: Activation, bins: int) -> Report:
    """Compute statistics and histograms, and find dead and saturated channels.

    Args:
        activation: The values of all images.
        bins: Number of bins of the histograms, at least 1.
    """
    statistics = statistics_of(activation)
    values = channels_last(activation)
    low, high = statistics.layer.min.item(), statistics.layer.max.item()
    counts, near_end = _counted(values, low, high, bins)
    edges, layer_counts = _edges(low, high, bins), counts.sum(axis=0)
    channels = statistics.channels
    if channels is None:
        return Report(statistics, Histogram(edges, layer_counts, None), (), ())
    dead = (channels.count > 0) & (channels.fraction_zero == 1)
    is_enough = channels.count >= _SATURATION_VALUES
    saturated = is_enough & (near_end >= _SATURATION_SHARE * channels.count) & ~dead & (low < high)
    return Report(
        statistics,
        Histogram(edges, layer_counts, counts),
        tuple(np.flatnonzero(dead).tolist()),
        tuple(np.flatnonzero(saturated).tolist()),
    )


def _edges(low: float, high: float, bins: int) -> Floats:
    """The edges of bins of equal width. If all values are the same, the bins are one unit wide together."""
    if not low < high:
        low, high = low - 0.5, high + 0.5
    steps = np.linspace(0, 1, bins + 1)
    # The difference of the ends can be more than float64 holds.
    return low * (1 - steps) + high * steps


def _counted(
    values: NDArray[Any], low: float, high: float, bins: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the values of each channel, one image at a time so that only one image is held in float64.

    Returns:
        Number of values in each bin, shape (channels, bins), and number of values near an end of the range that is not
        zero, shape (channels,).
    """
    channels = values.shape[-1]
    counts, near_end = np.zeros((channels, bins), np.int64), np.zeros(channels, np.int64)
    # The bins of all channels are numbered in one sequence, so that one bincount serves all channels.
    first = np.arange(channels) * bins
    for image in values if values.size else ():
        shares = _shares(image.reshape(-1, channels), low, high)
        finite = ~np.isnan(shares)
        near_end += np.count_nonzero(shares >= 1 - _SATURATION_DISTANCE, axis=0) * (high != 0)
        near_end += np.count_nonzero(shares <= _SATURATION_DISTANCE, axis=0) * (low != 0)
        numbers = np.minimum(np.where(finite, shares, 0) * bins, bins - 1).astype(np.intp) + first
        counts += np.bincount(numbers[finite], minlength=counts.size).reshape(counts.shape)
    return counts, near_end


def _shares(values: NDArray[Any], low: float, high: float) -> Floats:
    """The position of each value in the range, from 0 to 1; NaN for non-finite values, 0.5 if the range is empty."""
    # The difference of the ends can be more than float64 holds, and half of the smallest number is zero.
    factor = 1.0 if math.isfinite(high - low) else 0.5
    scaled = np.asarray(values, np.float64) * factor
    with np.errstate(invalid="ignore"):
        shares = (
            (scaled - low * factor) / (high * factor - low * factor) if low < high else scaled - scaled + 0.5
        )
    shares[~np.isfinite(scaled)] = np.nan
    return np.clip(shares, 0, 1, out=shares)
