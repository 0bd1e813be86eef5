"""Array operations that several methods share."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from layerscope.attribution.embeddings import TOKENS
from layerscope.attribution.method import Array
from layerscope.attribution.model_probe import ModelProbe

_LETTERS = "zyx"


def places_of(values: Array) -> tuple[int, ...]:
    """The axes of places in (images, *places, channels)."""
    return tuple(range(1, values.ndim - 1))


def relu(values: Array) -> Array:
    """Positive values as they are, and zero in place of the others. NaN stays NaN."""
    result: Array = np.maximum(values, 0)
    return result


def magnitude(probe: ModelProbe, gradients: Array) -> Array:
    """One number a place from the gradients of its channels, which are the last axis.

    That is the largest magnitude, as of the colours of a pixel; of the features of a token, which mean nothing one by one, it
    is their Euclidean norm. See `layerscope.attribution.embeddings`.
    """
    if probe.places == TOKENS:
        norms: Array = np.linalg.norm(gradients.astype(np.float64), axis=-1)
        return norms
    result: Array = np.abs(gradients).max(axis=-1)
    return result


def weighted_sum(maps: Array, weights: Array) -> Array:
    """The sum over the channels of maps, (images, *places, channels), times their weights.

    Args:
        maps: the maps.
        weights: of each channel, (images, channels), or of each value, in the shape of the maps.

    Returns:
        float64 of shape (images, *places). Products of float32 values can be beyond float32 where their sum is not.
    """
    places = _LETTERS[-len(places_of(maps)) :]
    axes = "nk" if weights.ndim == 2 else f"n{places}k"
    result: Array = np.einsum(f"n{places}k,{axes}->n{places}", maps, weights, dtype=np.float64)
    return result


def mean_gradients(probe: ModelProbe, number: int, count: int, version: Callable[[int], Array]) -> Array:
    """The mean gradient over `count` versions of an image.

    Args:
        probe: runs the versions.
        number: the number of the image.
        count: how many versions there are.
        version: makes a version from its number, (*places, channels).

    Returns:
        float64 of shape (*places, channels). Sums of many float32 gradients would lose precision.
    """
    total = np.zeros(probe.image(number).shape, np.float64)
    for gradients in probe.gradients_of(number, count, version):
        total += gradients
    return total / count


def resized(values: Array, sizes: Sequence[int]) -> Array:
    """A map, (*places), in other sizes: linear between the centres of its values, along one axis after the other."""
    for axis, size in reversed(list(enumerate(sizes))):
        if values.shape[axis] != size:
            values = _resized_along(values, axis, size)
    return values.astype(np.float32, copy=False)


def _resized_along(values: Array, axis: int, size: int) -> Array:
    last = np.moveaxis(values, axis, -1)
    rows = last.reshape(-1, last.shape[-1]).astype(np.float32, copy=False)
    picture = Image.fromarray(rows).resize((size, len(rows)), Image.Resampling.BILINEAR)
    return np.moveaxis(np.asarray(picture).reshape(*last.shape[:-1], size), -1, axis)
