"""Saliency: how much the score changes with each pixel, in its most sensitive channel.

    map = max over channels of |d score / d image|

Simonyan et al. 2014, Deep Inside Convolutional Networks: Visualising Image Classification Models and Saliency Maps,
section 3.1.
"""

from layerscope.attribution.maps import magnitude
from layerscope.attribution.method import Array, InputOptions, Method
from layerscope.attribution.model_probe import ModelProbe


def _explain(probe: ModelProbe, options: InputOptions) -> Array:  # noqa: ARG001
    return magnitude(probe, probe.gradients())


SALIENCY = Method(
    name="saliency",
    title="Saliency",
    kind="input",
    is_signed=False,
    cost="one run and one gradient",
    paper="Simonyan et al. 2014, Deep Inside Convolutional Networks: Visualising Image Classification Models and"
    " Saliency Maps, https://arxiv.org/abs/1312.6034",
    options=InputOptions,
    explain=_explain,
)
