"""Minimum, maximum, mean, spread, zeros and histograms of activations, for each channel and for the whole layer.

Only finite values count; how many are not is said beside them. Sums are taken in float64. The layer's figures are
put together from its channels' (Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for
computing sample variances").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from layerscope.tensors.activations import Activation

Figures = NDArray[np.float64]

_NEAR, _MOST, _ENOUGH = 0.01, 0.95, 16
"""Of saturation: how near an end, how many of the values, and of how many at least."""

_NAMES = ("min", "max", "mean", "std", "fraction_zero", "nonfinite")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Figures of one or more sets of values: each is an array of one shape, () for one set, (channels,) for many.

    `count` is the number of finite values, `nonfinite` that of all others; `std` is the population's standard
    deviation and `fraction_zero` the share of finite values that are zero. Where `count` is 0 they are NaN.
    """

    count: NDArray[np.int64]
    nonfinite: NDArray[np.int64]
    min: Figures
    max: Figures
    mean: Figures
    std: Figures
    fraction_zero: Figures

    def as_json(self) -> dict[str, Any]:
        """The figures as plain numbers or lists of them, None where there is no finite number."""
        return {name: _plain(getattr(self, name)) for name in _NAMES}


@dataclass(frozen=True)
class Statistics:
    """Figures over all images of a batch: of the whole layer, and of each channel (None without channels)."""

    layer: Summary
    channels: Summary | None

    def as_json(self) -> dict[str, Any]:
        """The layer's figures, and under `channels` the same names with a list, one item a channel."""
        return {**self.layer.as_json(), "channels": self.channels and self.channels.as_json()}


@dataclass(frozen=True)
class Histogram:
    """How many finite values are in each of equal bins, from the layer's smallest value to its largest.

    `edges` is (bins + 1,), `counts` (bins,), and `channels` (channels, bins), by the same edges; None without channels.
    """

    edges: Figures
    counts: NDArray[np.int64]
    channels: NDArray[np.int64] | None


@dataclass(frozen=True)
class Report:
    """What the values of a layer are like over all images of a batch.

    `dead` are the channels that are zero everywhere. `saturated` are those of 16 or more values of which 95 % lie within
    1 % of the layer's range from one of its ends, that end not being zero: what sigmoid, tanh and clipped units do
    when they no longer tell anything apart.
    """

    statistics: Statistics
    histogram: Histogram
    dead: tuple[int, ...]
    saturated: tuple[int, ...]

    def as_json(self, histograms: Literal["none", "layer", "channel"]) -> dict[str, Any]:
        """As `Statistics.as_json`, with `dead`, `saturated` and the histograms asked for."""
        figures = {**self.statistics.as_json(), "dead": list(self.dead), "saturated": list(self.saturated)}
        if histograms == "none":
            return figures
        shown = self.histogram
        figures["histogram"] = {"edges": _plain(shown.edges), "counts": shown.counts.tolist()}
        if histograms == "channel" and shown.channels is not None:
            figures["channels"]["histogram"] = shown.channels.tolist()
        return figures


@dataclass(frozen=True)
class Tally:
    """Sums over the values of one image, which take a tenth of the time of its `Statistics`; those of many add up.

    `total` is the sum of the finite values, `zeros` of the values are zero, and `nonfinite` are NaN or infinite;
    `active` says of each channel, (channels,), whether it has a value other than zero.
    """

    finite: int
    total: float
    zeros: int
    nonfinite: int
    active: NDArray[np.bool_]


def tallies_of(activation: Activation) -> list[Tally]:
    """One an image. A layer without channels counts as one channel."""
    return [
        _tally(image.reshape(prod(image.shape[:-1]), image.shape[-1])) for image in _channels_last(activation)
    ]


def statistics_of(activation: Activation) -> Statistics:
    """Summarize the values as they are: before any quantization, and of all images together."""
    channels = _by_channel(_channels_last(activation))
    return Statistics(_pooled(channels), None if activation.channel_axis is None else channels)


def report_of(activation: Activation, bins: int) -> Report:
    """Summarize values, count them in bins, and find channels that say nothing.

    Args:
        activation: The values of all images.
        bins: How many bins, at least 1.
    """
    statistics = statistics_of(activation)
    values = _channels_last(activation)
    low, high = statistics.layer.min.item(), statistics.layer.max.item()
    counts, pinned = _counted(values, low, high, bins)
    channels = statistics.channels
    if channels is None:
        return Report(statistics, Histogram(_edges(low, high, bins), counts.sum(axis=0), None), (), ())
    dead = (channels.count > 0) & (channels.fraction_zero == 1)
    is_pinned = (channels.count >= _ENOUGH) & (pinned >= _MOST * channels.count) & ~dead
    return Report(
        statistics,
        Histogram(_edges(low, high, bins), counts.sum(axis=0), counts),
        tuple(np.flatnonzero(dead).tolist()),
        tuple(np.flatnonzero(is_pinned & (low < high)).tolist()),
    )


@dataclass(frozen=True)
class Axis:
    """One scale for the values of many layers: linear about zero, logarithmic further out, by the inverse sinh.

    `low` and `high` are its ends, zero among what lies between; `unit` is where linear becomes logarithmic.
    """

    low: float
    high: float
    unit: float

    @classmethod
    def of(cls, layers: Sequence[Summary]) -> Self:
        """The axis that has room for all of them; its unit is their median standard deviation."""
        known = [layer for layer in layers if layer.count > 0]
        low = min([0.0, *(layer.min.item() for layer in known)])
        high = max([0.0, *(layer.max.item() for layer in known)])
        spreads = [spread for layer in known if 0 < (spread := layer.std.item()) < np.inf]
        unit = float(np.median(spreads)) if spreads else 1.0
        return cls(low, high if high > low else low + 1.0, unit)

    def places(self, values: NDArray[Any]) -> Figures:
        """Where values lie, from 0 at the lower end to 1 at the upper."""
        start, end = np.arcsinh(self.low / self.unit), np.arcsinh(self.high / self.unit)
        places: Figures = (np.arcsinh(np.asarray(values, np.float64) / self.unit) - start) / (end - start)
        return places

    def density(self, activation: Activation, bins: int) -> NDArray[np.int64]:
        """How many finite values other than zero lie in each of `bins` equal parts of the axis."""
        counts = np.zeros(bins, np.int64)
        for image in activation.values:
            counted = image[np.isfinite(image) & (image != 0)]
            parts = np.clip(self.places(counted) * bins, 0, bins - 1).astype(np.intp)
            counts += np.bincount(parts, minlength=bins)
        return counts


def _tally(values: NDArray[Any]) -> Tally:
    """Of values (places, channels)."""
    nonzero = np.count_nonzero(values, axis=0)
    nonfinite = 0
    with np.errstate(invalid="ignore"):
        total = float(values.sum(dtype=np.float64))
    if not np.isfinite(total):
        finite = np.isfinite(values)
        nonfinite = values.size - int(np.count_nonzero(finite))
        with np.errstate(over="ignore"):
            total = float(values.sum(dtype=np.float64, where=finite))
    return Tally(values.size - nonfinite, total, values.size - int(nonzero.sum()), nonfinite, nonzero > 0)


def _channels_last(activation: Activation) -> NDArray[Any]:
    if activation.channel_axis is None:
        return activation.values[..., np.newaxis]
    return np.moveaxis(activation.values, activation.channel_axis, -1)


def _edges(low: float, high: float, bins: int) -> Figures:
    """The edges of equal bins; about a single value, one unit wide."""
    if not low < high:
        low, high = low - 0.5, high + 0.5
    # Halves, because the whole range can be more than float64 holds.
    steps = np.linspace(0, 1, bins + 1)
    return 2 * (low / 2 * (1 - steps) + high / 2 * steps)


def _counted(
    values: NDArray[Any], low: float, high: float, bins: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many values of each channel are in each bin, (channels, bins), and near an end that is not zero."""
    channels = values.shape[-1]
    counts, pinned = np.zeros((channels, bins), np.int64), np.zeros(channels, np.int64)
    first = np.arange(channels) * bins
    for image in values:
        shares = _shares(image.reshape(-1, channels), low, high)
        finite = ~np.isnan(shares)
        pinned += np.count_nonzero(shares >= 1 - _NEAR, axis=0) * (high != 0)
        pinned += np.count_nonzero(shares <= _NEAR, axis=0) * (low != 0)
        parts = np.minimum(np.where(finite, shares, 0) * bins, bins - 1).astype(np.intp) + first
        counts += np.bincount(parts[finite], minlength=counts.size).reshape(counts.shape)
    return counts, pinned


def _shares(values: NDArray[Any], low: float, high: float) -> Figures:
    """How far up the range each value lies, from 0 to 1; NaN where it is not finite, midway without a range."""
    halves = np.asarray(values, np.float64) / 2
    with np.errstate(invalid="ignore"):
        shares = (halves - low / 2) / (high / 2 - low / 2) if low < high else halves - halves + 0.5
    shares[~np.isfinite(halves)] = np.nan
    return np.clip(shares, 0, 1, out=shares)


def _by_channel(values: NDArray[Any]) -> Summary:
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    axes = tuple(range(values.ndim - 1))
    finite = np.isfinite(values)
    count = finite.sum(axis=axes)
    nonfinite = prod(values.shape[:-1]) - count
    mask: Any = finite if nonfinite.any() else True
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = values.sum(axis=axes, dtype=np.float64, where=mask) / count
        fraction_zero = (values == 0).sum(axis=axes) / count
        variance = _squared_deviations(values, mean, mask) / count
        low = values.min(axis=axes, where=mask, initial=np.inf)
        high = values.max(axis=axes, where=mask, initial=-np.inf)
    return Summary(
        count=count,
        nonfinite=nonfinite,
        min=_or_nan(low, count),
        max=_or_nan(high, count),
        mean=mean,
        std=np.sqrt(variance),
        fraction_zero=fraction_zero,
    )


def _squared_deviations(values: NDArray[Any], mean: Figures, mask: Any) -> Figures:
    """Sum them one image at a time, so that only one image is ever held in float64."""
    total = np.zeros_like(mean)
    axes = tuple(range(values.ndim - 2))
    for number, image in enumerate(values):
        kept = mask if mask is True else mask[number]
        deviations = image - mean
        total += np.square(deviations, out=deviations).sum(axis=axes, where=kept)
    return total


def _pooled(parts: Summary) -> Summary:
    some = parts.count > 0
    count = parts.count.sum()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = parts.count[some] / count
        mean = (share * parts.mean[some]).sum()
        variance = (share * (np.square(parts.std[some]) + np.square(parts.mean[some] - mean))).sum()
        fraction_zero = (share * parts.fraction_zero[some]).sum()
    return Summary(
        count=count,
        nonfinite=parts.nonfinite.sum(),
        min=_or_nan(parts.min.min(where=some, initial=np.inf), count),
        max=_or_nan(parts.max.max(where=some, initial=-np.inf), count),
        mean=_or_nan(mean, count),
        std=_or_nan(np.sqrt(variance), count),
        fraction_zero=_or_nan(fraction_zero, count),
    )


def _or_nan(figures: Any, count: Any) -> Figures:
    return np.where(count > 0, np.asarray(figures, np.float64), np.nan)


def _plain(figures: NDArray[Any]) -> Any:
    plain = np.asarray(figures).astype(object)
    plain[~np.isfinite(figures)] = None
    return plain.tolist()
