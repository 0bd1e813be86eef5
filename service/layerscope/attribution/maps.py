"""Steps that several methods have in common."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from layerscope.attribution.method import Array
from layerscope.attribution.model_probe import Probe


def positive(values: Array) -> Array:
    """ReLU: what is positive, and zero elsewhere. NaN stays."""
    result: Array = np.maximum(values, 0)
    return result


def strongest(slopes: Array) -> Array:
    """The largest magnitude over channels, which are last."""
    result: Array = np.abs(slopes).max(axis=-1)
    return result


def mean_slopes(probe: Probe, number: int, count: int, version: Callable[[int], Array]) -> Array:
    """The mean gradient over versions of an image, float64 (height, width, channels); see `Probe.slopes_of`."""
    total = np.zeros(probe.image(number).shape, np.float64)
    for slopes in probe.slopes_of(number, count, version):
        total += slopes
    return total / count


def enlarged(values: Array, size: Sequence[int]) -> Array:
    """A map, (height, width), in another size, bilinear between the centres of its values."""
    height, width = size
    picture = Image.fromarray(values.astype(np.float32, copy=False))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
