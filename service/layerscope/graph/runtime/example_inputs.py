"""Example inputs: small, made up, the same each time, in the range of what a model is used with."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from layerscope.graph.taps.tap import Input
from layerscope.images import Preprocessing

Array = np.ndarray[Any, np.dtype[Any]]

_FREE_SIZES = (64, 224, 16)
"""Lengths to try for axes of any length: many networks of images have a smallest size, and some of texts a largest."""


def example_shapes(inputs: Sequence[Input]) -> Iterator[list[tuple[int, ...]]]:
    """Shapes of one image to try a model on, one an input: the declared one, with several lengths for free axes."""
    is_free = any(None in each.shape for each in inputs)
    for free in _FREE_SIZES[: None if is_free else 1]:
        yield [tuple(free if size is None else size for size in each.shape) for each in inputs]


def example_inputs(
    inputs: Sequence[Input],
    preprocessing: Mapping[str, Preprocessing | None],
    shapes: Sequence[Sequence[int]],
) -> list[Array]:
    """One array an input, each (1, *shape).

    Images are noise from black to white, as the preprocessing makes them. Other floats are noise from 0 to 1, and
    integers 0 or 1, which are valid as counts, categories and tokens.
    """
    random = np.random.default_rng(0)
    return [
        _example(each, preprocessing.get(each.name), (1, *shape), random)
        for each, shape in zip(inputs, shapes, strict=True)
    ]


def _example(
    each: Input, preprocessing: Preprocessing | None, shape: tuple[int, ...], random: np.random.Generator
) -> Array:
    dtype = np.dtype(each.dtype)
    if dtype.kind in "iub" and preprocessing is None:
        return random.integers(0, 2, shape).astype(dtype)
    values = random.random(shape)
    if preprocessing is not None:
        black, white = (_by_channel(preprocessing, preprocessing.grey_values(pixel)) for pixel in (0, 255))
        values = black + (white - black) * values
    return values.astype(dtype)


def _by_channel(preprocessing: Preprocessing, channels: Array) -> Array:
    """Values of channels, so that they broadcast against images."""
    return channels[:, np.newaxis, np.newaxis] if preprocessing.layout == "nchw" else channels
