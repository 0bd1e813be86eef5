"""Score-CAM: feature maps, weighted by the score of the image when it is masked with each. It needs no gradient.

    mask_k   = A_k, enlarged to the image's size and scaled to 0 ... 1
    weight   = softmax over k of score(image mask_k)
    map      = ReLU(sum over k of weight_k A_k)

Wang et al. 2020, Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks, algorithm 1. The
score of the baseline, which they subtract, drops out in the softmax. Maps of one value only mask nothing, and have no
weight. With `top`, only the channels that vary most take part, as in Faster Score-CAM.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from layerscope.attribution.maps import relu
from layerscope.attribution.method import Array, LayerOptions, Method, VariedInputOptions
from layerscope.attribution.model_probe import ModelProbe
from layerscope.graph.taps.tap import AxisName


class _Options(LayerOptions, VariedInputOptions):
    top: int | None = Field(
        default=None,
        ge=1,
        le=4_096,
        description="only so many channels, those with the largest standard deviation; left out, all that vary",
    )


def _explain(probe: ModelProbe, options: _Options) -> Array:
    return np.stack(
        [_weighted(probe, number, maps, options.top) for number, maps in enumerate(probe.activations())]
    )


def _weighted(probe: ModelProbe, number: int, maps: Array, top: int | None) -> Array:
    places = tuple(range(maps.ndim - 1))
    low, high = maps.min(axis=places), maps.max(axis=places)
    channels = np.flatnonzero(high > low)
    if top is not None and top < len(channels):
        order = np.argsort(-maps[..., channels].std(axis=places, dtype=np.float64), kind="stable")
        channels = np.sort(channels[order[:top]])
    if not len(channels):
        return np.zeros(maps.shape[:-1], np.float32)
    image = probe.image(number)

    def masked(number: int) -> Array:
        channel = channels[number]
        mask = (maps[..., channel] - low[channel]) / (high[channel] - low[channel])
        return image * probe.over_image(mask)[..., np.newaxis]

    scores = np.fromiter(probe.scores_of(number, len(channels), masked), np.float64)
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    return relu(maps[..., channels] @ weights)


def _runs(options: _Options, shape: Sequence[int], places: Sequence[AxisName]) -> int:  # noqa: ARG001
    return min(options.top or shape[-1], shape[-1])


SCORECAM = Method(
    name="scorecam",
    title="Score-CAM",
    kind="layer",
    is_signed=False,
    cost="one run for each channel of the layer that varies",
    paper="Wang et al. 2020, Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks,"
    " https://arxiv.org/abs/1910.01279",
    options=_Options,
    explain=_explain,
    runs=_runs,
    is_gradient=False,
    fewer_runs=("use only the channels that vary most (top=)", "choose a layer with fewer channels"),
)
