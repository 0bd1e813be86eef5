"""HiResCAM: feature maps, each position weighted by its gradient, which shows where the layer contributes to the score.

    map = sum over k of (d score / d A_k) A_k

Draelos & Carin 2020, Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks.
Evidence against the target is negative.
"""

from layerscope.attribution.maps import weighted_sum
from layerscope.attribution.method import Array, LayerOptions, Method
from layerscope.attribution.model_probe import ModelProbe


def _explain(probe: ModelProbe, options: LayerOptions) -> Array:  # noqa: ARG001
    return weighted_sum(probe.activations(), probe.gradients())


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
