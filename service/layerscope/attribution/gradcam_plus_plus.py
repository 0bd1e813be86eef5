"""Grad-CAM++: Grad-CAM with weights that count each position where a feature occurs alike.

    g        = d score / d A_k
    alpha    = g^2 / (2 g^2 + g^3 * sum over places of A_k)
    weight_k = sum over places of alpha ReLU(g)
    map      = ReLU(sum over k of weight_k A_k)

Chattopadhay et al. 2018, Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks, eq. (10), (19). They
differentiate exp(score); its factor exp(score) is the same all over a map, and left out: it overflows. Where a
gradient is zero, so is alpha.
"""

import numpy as np

from layerscope.attribution.maps import places_of, relu, weighted_sum
from layerscope.attribution.method import Array, LayerOptions, Method
from layerscope.attribution.model_probe import ModelProbe


def _explain(probe: ModelProbe, options: LayerOptions) -> Array:  # noqa: ARG001
    maps, gradients = probe.activations(), probe.gradients().astype(np.float64)
    places, squares = places_of(maps), gradients**2
    below = 2 * squares + gradients * squares * maps.sum(axis=places, keepdims=True, dtype=np.float64)
    alpha = np.divide(squares, below, out=np.zeros_like(squares), where=below != 0)
    weights = (alpha * np.maximum(gradients, 0)).sum(axis=places)
    return relu(weighted_sum(maps, weights))


GRADCAM_PLUS_PLUS = Method(
    name="gradcam++",
    title="Grad-CAM++",
    kind="layer",
    is_signed=False,
    cost="one run, and one gradient from the layer on",
    paper="Chattopadhay et al. 2018, Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks,"
    " https://arxiv.org/abs/1710.11063",
    options=LayerOptions,
    explain=_explain,
)
