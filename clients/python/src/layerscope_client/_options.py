"""Options of calls, named as in the HTTP API, and their encoding as query parameters."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, TypedDict

import numpy as np

Features = Literal["mean", "flat"]
"""What is compared of a layer: the mean of each channel, or all values."""

Channels: TypeAlias = int | str | Sequence[int]
"""A channel selection: a number, a sequence of numbers, or text such as "0,3,8-15", "top:16" or "all"."""


class InterventionOptions(TypedDict, total=False):
    """Options of an intervention.

    Attributes:
        top: The number of classes per output.
        target: A class by number or name, or "argmax" for the class with the highest value without edits.
        output: The name of the model's output.
        position: (y, x) in an output that is a map, or the step of an output that is a sequence.
        score: What of the class is measured; left out, the logit where the model shows it.
    """

    top: int
    target: int | str
    output: str
    position: int | Sequence[int]
    score: Literal["logit", "log_probability", "probability"]


class TensorOptions(TypedDict, total=False):
    """Options of the tensors in an answer. Without options, all values come as they were computed.

    Attributes:
        channels: The selected channels.
        region: (x0, y0, x1, y1) in pixels of the map, x1 and y1 excluded.
        stride: Keep every n-th pixel of the map in each direction.
        reduce: One number per channel instead of a map.
        dtype: "uint8" is affine for each channel; `Activations.dequantized` undoes it.
        layout: Channels last or first.
        statistics: Whether to add statistics to each layer's description.
        change: Whether to take the values of the edited model minus those without edits.
    """

    channels: Channels
    region: tuple[int, int, int, int]
    stride: int
    reduce: Literal["none", "mean", "max", "l2"]
    dtype: Literal["float32", "float16", "uint8"]
    layout: Literal["nhwc", "nchw"]
    statistics: bool
    change: bool


class PictureOptions(TypedDict, total=False):
    """Options of a picture of feature maps.

    Attributes:
        colormap: A name from `/v1/colormaps`.
        normalize: Whether each channel has its own range of values, a layer has one, or it is 0 to 1 ("none").
        range: The lowest and the highest value of the colours, or "shared" for one range of all channels and images.
        percentile: Two percentages, 0 to 100, whose values are the ends of the range.
        columns: Tiles per row.
        gap: Pixels between tiles.
        scale: Pixels per value in each direction.
        colorbar: Whether to add a bar of the colours.
        labels: Whether to write the name of each tile above it.
        slice: The slices of volumes, or the frames of films, that are drawn, such as "0,3,5-8"; left out, all.
        curves: Whether to draw each channel as a curve, of layers that count channels and one more axis, such as time.
        centered: Whether the range is symmetric about zero.
        change: Whether to draw the values of the edited model minus those without edits.
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
    slice: str
    curves: bool
    centered: bool | Literal["auto"]
    change: bool


class InspectOptions(TypedDict, total=False):
    """Options of an inspection: the statistics, pictures and heat maps of its layers.

    Attributes:
        statistics: Statistics of each layer, of its channels, too, or none.
        channels: The channels in the pictures.
        colormap: A name from `/v1/colormaps`.
        scale: Pixels per value in each direction.
        methods: The attribution methods of the heat maps.
        target: The explained class, by number or name, or "argmax" for the class with the highest value.
        score: What heat maps take gradients of; left out, the logit where the model shows it.
    """

    statistics: Literal["none", "layer", "channel"]
    channels: Channels
    colormap: str
    scale: int
    methods: str | Sequence[str]
    target: int | str
    score: Literal["logit", "log_probability", "probability"]


class BackgroundOptions(TypedDict, total=False):
    """Options of a map that is drawn over a picture.

    Attributes:
        on: The picture as it was sent, upright ("original"), or as the model gets it ("input").
        input: The name of the input, of models with several.
        alpha: Opacity of the colours, from 0 to 1.
        interpolation: The enlargement of the map; "nearest" shows each value as a rectangle.
        colormap: A name from `/v1/colormaps`.
        centered: Whether the range is symmetric about zero.
        range: The lowest and the highest value of the colours.
        percentile: Two percentages, 0 to 100, whose values are the ends of the range.
        scale: Pixels per pixel of the picture in each direction.
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


class OverlayOptions(BackgroundOptions, total=False):
    """Options of a feature map that is drawn over a picture.

    Attributes:
        change: Whether to draw the values of the edited model minus those without edits.
    """

    change: bool


class AttributionOptions(TypedDict, total=False):
    """Options of an attribution. `Client.attribution_methods` lists those of each method, and their defaults.

    Attributes:
        target: A class by number or name, or "argmax" for the class with the highest value.
        output: The name of the model's output.
        position: (y, x) in an output that is a map, or the step of an output that is a sequence.
        score: What is differentiated; left out, the logit where the model shows it.
        layer: A selector of exactly one layer with places, such as rows and columns or steps of time.
        input: The name of the input, of models with several.
        top: Score-CAM: the number of channels that are used, those that vary most.
        samples: SmoothGrad: the number of noisy versions of the image.
        noise: SmoothGrad: the standard deviation of the noise, as a share of the range of the image's values.
        seed: The seed of random numbers.
        steps: Integrated gradients: the number of points on the path from the baseline to the image.
        baseline: The start of that path, or the value that occlusion covers with.
        patch: Occlusion: the side of the patch in pixels of the input, or one number for each of its axes of places.
        stride: Occlusion: the pixels from one patch to the next, likewise.
    """

    target: int | str
    output: str
    position: int | Sequence[int]
    score: Literal["logit", "log_probability", "probability"]
    layer: str
    input: str
    top: int
    samples: int
    noise: float
    seed: int
    steps: int
    baseline: Literal["black", "grey", "white", "mean", "zero"]
    patch: int | Sequence[int]
    stride: int | Sequence[int]


class AttributionPictureOptions(AttributionOptions, BackgroundOptions, total=False):
    """Options of an attribution whose heat map is drawn over the input.

    Attributes:
        slice: Which slices of a volume, or frames of a film, are drawn: "0,3,5-8" or "all".
    """

    slice: str


class AblationOptions(TypedDict, total=False):
    """Options of a sweep, which takes the channels or places of a layer away, or layers, one at a time.

    Attributes:
        by: What is taken away at a time; left out, a channel of `layer`, or each of `layers`.
        set: What is put in place of the values: a number, or the mean of each channel over the places of the image.
        patch: The id of a stored image whose values are put in their place instead.
        grid: Of places, the most boxes along each side of the map.
        screen: Run only so many units, those with the largest effect by a first-order estimate.
        metric: How an effect is measured; "distance" is the relative L2 of the whole output.
        top: How many units `order` has, or the picture has bars.
        target: A class by number or name, or "argmax" for the class with the highest value.
        output: The name of the model's output.
        position: (y, x) in an output that is a map, or the step of an output that is a sequence.
        score: What of the class is measured; left out, the logit where the model shows it.
    """

    by: Literal["channel", "layer", "place"]
    set: float | Literal["mean"]
    patch: str
    grid: int
    screen: int
    metric: Literal["score", "output", "distance"]
    top: int
    target: int | str
    output: str
    position: int | Sequence[int]
    score: Literal["logit", "log_probability", "probability"]


class AblationPictureOptions(AblationOptions, BackgroundOptions, total=False):
    """Options of a sweep that is drawn; those of a map over a picture are for places."""


def query(options: Mapping[str, object]) -> list[tuple[str, str]]:
    """Encode options as query parameters; those that are None are left out."""
    return [(name, _text(value)) for name, value in options.items() if value is not None]


def repeated(name: str, values: str | Sequence[str]) -> list[tuple[str, str]]:
    """Encode a list as one query parameter per value. A single string is one value."""
    return [(name, value) for value in ([values] if isinstance(values, str) else values)]


def _text(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return ",".join(str(part) for part in value)
    return str(value)
