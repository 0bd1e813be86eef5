"""The options of calls, named as in the HTTP contract, and their text in a query."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, TypedDict

import numpy as np

Channels: TypeAlias = int | str | Sequence[int]
"""Which channels: a number, numbers, or text such as "0,3,8-15", "top:16" or "all"."""


class TensorOptions(TypedDict, total=False):
    """What is sent of each tensor. Left out, all of it comes as it was computed.

    Attributes:
        channels: Which channels.
        region: (x0, y0, x1, y1) in pixels of the map, x1 and y1 excluded.
        stride: Every n-th pixel of the map in each direction.
        reduce: One number a channel instead of a map.
        dtype: "uint8" is affine for each channel; `Activations.dequantized` undoes it.
        layout: Channels last or first.
        statistics: Whether to add statistics to each layer's description.
    """

    channels: Channels
    region: tuple[int, int, int, int]
    stride: int
    reduce: Literal["none", "mean", "max", "l2"]
    dtype: Literal["float32", "float16", "uint8"]
    layout: Literal["nhwc", "nchw"]
    statistics: bool


class PictureOptions(TypedDict, total=False):
    """How a picture looks.

    Attributes:
        colormap: A name from `/v1/colormaps`.
        normalize: What shares one range of values: each channel, the layer, or none (0 to 1).
        range: The lowest and the highest value of the colours, or "shared" by all channels of all images.
        percentile: The percentages, 0 to 100, whose values are the ends of the range.
        columns: Tiles in a row.
        gap: Pixels between tiles.
        scale: Pixels a value takes in each direction.
        colorbar: Whether to add a bar of the colours.
        labels: Whether to write each tile's name above it.
        centered: Whether the range is symmetric about zero.
    """

    colormap: str
    normalize: Literal["channel", "layer", "none"]
    range: tuple[float, float] | Literal["shared"]
    percentile: tuple[float, float]
    columns: int
    gap: int
    scale: int
    colorbar: bool
    labels: bool
    centered: bool | Literal["auto"]


class InspectOptions(TypedDict, total=False):
    """What is told of each layer, and how its picture looks.

    Attributes:
        statistics: Of each layer, of each of its channels too, or none.
        channels: The channels in the pictures.
        colormap: A name from `/v1/colormaps`.
        scale: Pixels a value takes in each direction.
        methods: The attribution methods whose heat maps come along.
        target: What heat maps explain: a class by number or name, or "argmax", the likeliest one.
    """

    statistics: Literal["none", "layer", "channel"]
    channels: Channels
    colormap: str
    scale: int
    methods: str | Sequence[str]
    target: int | str


class OverlayOptions(TypedDict, total=False):
    """How a map is laid over a picture.

    Attributes:
        on: The picture as it was sent, upright, or as it went into the model.
        input: The input whose picture it is.
        alpha: How much the colours cover the picture, from 0 to 1.
        interpolation: How the map is enlarged; "nearest" shows which value is where.
        colormap: A name from `/v1/colormaps`.
        centered: Whether the range is symmetric about zero.
        range: The lowest and the highest value of the colours.
        percentile: The percentages, 0 to 100, whose values are the ends of the range.
        scale: Pixels a pixel of the picture takes in each direction.
        colorbar: Whether to add a bar of the colours.
    """

    on: Literal["original", "input"]
    input: str
    alpha: float
    interpolation: Literal["bilinear", "nearest"]
    colormap: str
    centered: bool | Literal["auto"]
    range: tuple[float, float]
    percentile: tuple[float, float]
    scale: int
    colorbar: bool


class AttributionOptions(TypedDict, total=False):
    """What is explained, and how. `Client.attribution_methods` tells which method takes which, and their defaults.

    Attributes:
        target: A class by number or name, or "argmax", the likeliest one.
        output: The model's output by name.
        position: (y, x): one place of an output that is a map, or the step of a sequence.
        layer: A selector of exactly one layer with rows and columns.
        input: The input by name, of models with several.
        top: Score-CAM: only so many channels, those that vary most.
        samples: SmoothGrad: how many noisy versions of the image.
        noise: Their standard deviation, as a part of the range of the image's values.
        seed: What the noise is made of.
        steps: Integrated gradients: points on the way from the baseline to the image.
        baseline: Where the way begins, or what occlusion covers with.
        patch: Occlusion: side of the patch in pixels of the input.
        stride: Pixels from one patch to the next.
    """

    target: int | str
    output: str
    position: int | Sequence[int]
    layer: str
    input: str
    top: int
    samples: int
    noise: float
    seed: int
    steps: int
    baseline: Literal["black", "grey", "white", "mean", "zero"]
    patch: int
    stride: int


class AttributionPictureOptions(AttributionOptions, OverlayOptions, total=False):
    """What is explained, and how its heat map is laid over the picture."""


def query(options: Mapping[str, object]) -> list[tuple[str, str]]:
    """Write options as query parameters; those that are None are left out."""
    return [(name, _text(value)) for name, value in options.items() if value is not None]


def repeated(name: str, values: str | Sequence[str]) -> list[tuple[str, str]]:
    """Write one query parameter a value. A single string is one value."""
    return [(name, value) for value in ([values] if isinstance(values, str) else values)]


def _text(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return ",".join(str(part) for part in value)
    return str(value)
