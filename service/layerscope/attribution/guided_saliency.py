"""Guided saliency: saliency by guided backpropagation.

Gradients pass a rectifier only where they are positive. Springenberg et al. 2015, Striving for
Simplicity: The All Convolutional Net, figure 1. Such maps are sharp, and depend little on what the model has learnt
(Adebayo et al. 2018): they show edges rather than evidence.
"""

from layerscope.attribution.maps import magnitude
from layerscope.attribution.method import Array, InputOptions, Method
from layerscope.attribution.model_probe import ModelProbe


def _explain(probe: ModelProbe, options: InputOptions) -> Array:  # noqa: ARG001
    return magnitude(probe, probe.gradients())


GUIDED_SALIENCY = Method(
    name="guided-saliency",
    title="Guided saliency",
    kind="input",
    is_signed=False,
    cost="one run and one gradient",
    paper="Springenberg et al. 2015, Striving for Simplicity: The All Convolutional Net,"
    " https://arxiv.org/abs/1412.6806",
    options=InputOptions,
    explain=_explain,
    is_guided=True,
)
