"""Grad-CAM: feature maps, weighted by the mean of their gradients.

    weight_k = mean over places of d score / d A_k[place]
    map      = ReLU(sum over k of weight_k A_k)

Selvaraju et al. 2017, Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, eq. (1), (2).
"""

import numpy as np

from layerscope.attribution.maps import places_of, relu, weighted_sum
from layerscope.attribution.method import Array, LayerOptions, Method
from layerscope.attribution.model_probe import ModelProbe


def _explain(probe: ModelProbe, options: LayerOptions) -> Array:  # noqa: ARG001
    gradients = probe.gradients()
    weights = gradients.mean(axis=places_of(gradients), dtype=np.float64)
    return relu(weighted_sum(probe.activations(), weights))


GRADCAM = Method(
    name="gradcam",
    title="Grad-CAM",
    kind="layer",
    is_signed=False,
    cost="one run, and one gradient from the layer on",
    paper="Selvaraju et al. 2017, Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization,"
    " https://arxiv.org/abs/1610.02391",
    options=LayerOptions,
    explain=_explain,
)
