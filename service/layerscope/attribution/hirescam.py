"""HiResCAM: feature maps, each position weighted by its gradient, which shows where the layer contributes to the score.

    map = sum over k of (d score / d A_k) A_k

Draelos & Carin 2020, Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks.
Evidence against the target is negative.
"""

import numpy as np

from layerscope.attribution.method import Array, LayerOptions, Method
from layerscope.attribution.model_probe import ModelProbe


def _explain(probe: ModelProbe, options: LayerOptions) -> Array:  # noqa: ARG001
    result: Array = np.einsum("nyxk,nyxk->nyx", probe.activations(), probe.gradients())
    return result


HIRESCAM = Method(
    name="hirescam",
    title="HiResCAM",
    kind="layer",
    is_signed=True,
    cost="one run, and one gradient from the layer on",
    paper="Draelos & Carin 2020, Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural"
    " networks, https://arxiv.org/abs/2011.08891",
    options=LayerOptions,
    explain=_explain,
)
