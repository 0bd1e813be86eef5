"""Steps that several methods have in common."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from layerscope.attribution.method import Array


def positive(values: Array) -> Array:
    """ReLU: what is positive, and zero elsewhere. NaN stays."""
    result: Array = np.maximum(values, 0)
    return result


def strongest(slopes: Array) -> Array:
    """The largest magnitude over channels, which are last."""
    result: Array = np.abs(slopes).max(axis=-1)
    return result


def enlarged(values: Array, size: Sequence[int]) -> Array:
    """A map, (height, width), in another size, bilinear between the centres of its values."""
    height, width = size
    picture = Image.fromarray(values.astype(np.float32, copy=False))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
