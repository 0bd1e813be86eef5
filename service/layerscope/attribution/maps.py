"""Array operations that several methods share."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from layerscope.attribution.method import Array
from layerscope.attribution.model_probe import ModelProbe


def relu(values: Array) -> Array:
    """Positive values as they are, and zero in place of the others. NaN stays NaN."""
    result: Array = np.maximum(values, 0)
    return result


def max_magnitude(gradients: Array) -> Array:
    """The largest magnitude over the channels, which are the last axis."""
    result: Array = np.abs(gradients).max(axis=-1)
    return result


def weighted_sum(maps: Array, weights: Array) -> Array:
    """The sum over the channels of maps, (images, height, width, channels), times their weights.

    Args:
        maps: the maps.
        weights: of each channel, (images, channels), or of each value, in the shape of the maps.

    Returns:
        float64 of shape (images, height, width). Products of float32 values can be beyond float32 where their sum is not.
    """
    axes = "nk" if weights.ndim == 2 else "nyxk"
    result: Array = np.einsum(f"nyxk,{axes}->nyx", maps, weights, dtype=np.float64)
    return result


def mean_gradients(probe: ModelProbe, number: int, count: int, version: Callable[[int], Array]) -> Array:
    """The mean gradient over `count` versions of an image.

    Args:
        probe: runs the versions.
        number: the number of the image.
        count: how many versions there are.
        version: makes a version from its number, (height, width, channels).

    Returns:
        float64 of shape (height, width, channels). Sums of many float32 gradients would lose precision.
    """
    total = np.zeros(probe.image(number).shape, np.float64)
    for gradients in probe.gradients_of(number, count, version):
        total += gradients
    return total / count


def resized(values: Array, size: Sequence[int]) -> Array:
    """A map, (height, width), in another size: bilinear between the centres of its values."""
    height, width = size
    picture = Image.fromarray(values.astype(np.float32, copy=False))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
