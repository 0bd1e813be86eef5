"""Minimum, maximum, mean, spread and zeros of activations, for each channel and for the whole layer.

Only finite values count; how many are not is said beside them. Sums are taken in float64. The layer's figures are
put together from its channels' (Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for
computing sample variances").
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerscope.activations import Activation

Figures = NDArray[np.float64]

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


def statistics_of(activation: Activation) -> Statistics:
    """Summarize the values as they are: before any quantization, and of all images together."""
    if activation.channel_axis is None:
        return Statistics(_pooled(_by_channel(activation.values[..., np.newaxis])), None)
    channels = _by_channel(np.moveaxis(activation.values, activation.channel_axis, -1))
    return Statistics(_pooled(channels), channels)


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
