"""Statistics of activations: minimum, maximum, mean, standard deviation and zeros, per channel and per layer.

Only finite values count; the number of others is given beside them. Sums are taken in float64, of values that are first
divided by a power of two if they are float64 themselves. The mean is computed first
and the squared deviations from it in a second pass, because the sum of squares minus the square of the sum loses all
digits when the mean is large. The statistics of the layer are combined from those of its channels (Chan, Golub and LeVeque
1979, "Updating formulae and a pairwise algorithm for computing sample variances"), without another pass.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerscope.tensors.activations import Activation
from layerscope.tensors.scaling import scaled

Floats = NDArray[np.float64]

_NAMES = ("min", "max", "mean", "std", "fraction_zero", "nonfinite")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Statistics of one or more sets of values. Every attribute is an array: () for one set, (channels,) for many.

    Attributes:
        count: Number of finite values. Where it is 0, the floating-point attributes are NaN.
        nonfinite: Number of values that are NaN or infinite.
        min: The smallest finite value.
        max: The largest finite value.
        mean: The mean of the finite values.
        std: The standard deviation of the population of finite values.
        fraction_zero: Share of the finite values that are zero, 0 to 1.
    """

    count: NDArray[np.int64]
    nonfinite: NDArray[np.int64]
    min: Floats
    max: Floats
    mean: Floats
    std: Floats
    fraction_zero: Floats

    def as_json(self) -> dict[str, Any]:
        """The statistics as numbers, or as lists of numbers; None in place of NaN and infinities."""
        return {name: finite_or_none(getattr(self, name)) for name in _NAMES}


@dataclass(frozen=True)
class Statistics:
    """Statistics over all images of a batch: of the whole layer, and of each channel (None without channels)."""

    layer: Summary
    channels: Summary | None

    def as_json(self) -> dict[str, Any]:
        """The statistics of the layer; under `channels` the same names, each with a list of one item per channel."""
        return {**self.layer.as_json(), "channels": self.channels and self.channels.as_json()}


def statistics_of(activation: Activation) -> Statistics:
    """Compute the statistics of values over all images together. The values must not be quantized."""
    channels = _by_channel(channels_last(activation))
    return Statistics(_pooled(channels), None if activation.channel_axis is None else channels)


def positions_of(activation: Activation) -> tuple[str, Summary] | None:
    """Compute the statistics of each token or time step, over all images and channels.

    Returns:
        What the positions are, and their statistics, with a number for each; None for values that have not one axis of places,
        of which it is known what they are.
    """
    places = [axis for axis in activation.spatial_axes if activation.axes[axis] != "unknown"]
    if len(places) != 1 or len(activation.spatial_axes) != 1:
        return None
    return activation.axes[places[0]], _by_channel(np.moveaxis(activation.values, places[0], -1))


def channels_last(activation: Activation) -> NDArray[Any]:
    """The values with the channel axis last, as a view; one channel is added where there is none."""
    if activation.channel_axis is None:
        return activation.values[..., np.newaxis]
    return np.moveaxis(activation.values, activation.channel_axis, -1)


def finite_or_none(numbers: NDArray[Any]) -> Any:
    """An array as a number or nested lists of numbers, with None in place of NaN and infinities, which JSON lacks."""
    plain = np.asarray(numbers).astype(object)
    plain[~np.isfinite(numbers)] = None
    return plain.tolist()


def _by_channel(values: NDArray[Any]) -> Summary:
    """The statistics of each channel, the last axis of `values`."""
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    axes = tuple(range(values.ndim - 1))
    finite = np.isfinite(values)
    count = finite.sum(axis=axes)
    nonfinite = prod(values.shape[:-1]) - count
    # Without non-finite values, the usual case, no mask is passed: reductions with `where` take longer.
    mask: Any = finite if nonfinite.any() else True
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        small, exponent = scaled(values, axes, mask)
        exponent = exponent.reshape(-1)
        mean = small.sum(axis=axes, dtype=np.float64, where=mask) / count
        fraction_zero = (values == 0).sum(axis=axes) / count
        variance = _squared_deviations(small, mean, mask) / count
        low = values.min(axis=axes, where=mask, initial=np.inf)
        high = values.max(axis=axes, where=mask, initial=-np.inf)
    return Summary(
        count=count,
        nonfinite=nonfinite,
        min=_or_nan(low, count),
        max=_or_nan(high, count),
        mean=np.ldexp(mean, exponent),
        std=np.ldexp(np.sqrt(variance), exponent),
        fraction_zero=fraction_zero,
    )


def _squared_deviations(values: NDArray[Any], mean: Floats, mask: Any) -> Floats:
    """Sum the squared deviations of each channel, one image at a time so that only one is held in float64."""
    total = np.zeros_like(mean)
    axes = tuple(range(values.ndim - 2))
    for number, image in enumerate(values):
        kept = mask if mask is True else mask[number]
        deviations = image - mean
        total += np.square(deviations, out=deviations).sum(axis=axes, where=kept)
    return total


def _pooled(parts: Summary) -> Summary:
    """The statistics of the union of several sets of values.

    The variance of the union is the mean of the variances plus the variance of the means, both weighted by count.
    """
    some = parts.count > 0
    count = parts.count.sum()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = parts.count[some] / count
        (means, stds), exponent = scaled(np.stack([parts.mean[some], parts.std[some]]), (0, 1))
        mean = (share * means).sum()
        variance = (share * (np.square(stds) + np.square(means - mean))).sum()
        fraction_zero = (share * parts.fraction_zero[some]).sum()
    return Summary(
        count=count,
        nonfinite=parts.nonfinite.sum(),
        min=_or_nan(parts.min.min(where=some, initial=np.inf), count),
        max=_or_nan(parts.max.max(where=some, initial=-np.inf), count),
        mean=_or_nan(np.ldexp(mean, exponent.item()), count),
        std=_or_nan(np.ldexp(np.sqrt(variance), exponent.item()), count),
        fraction_zero=_or_nan(fraction_zero, count),
    )


def _or_nan(numbers: Any, count: Any) -> Floats:
    return np.where(count > 0, np.asarray(numbers, np.float64), np.nan)
