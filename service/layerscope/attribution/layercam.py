"""LayerCAM: feature maps, each position weighted by its gradient if that is positive; good for early layers too.

    map = ReLU(sum over k of ReLU(d score / d A_k) A_k)

Jiang et al. 2021, LayerCAM: Exploring Hierarchical Class Activation Maps for Localization.
"""

from layerscope.attribution.maps import relu, weighted_sum
from layerscope.attribution.method import Array, LayerOptions, Method
from layerscope.attribution.model_probe import ModelProbe


def _explain(probe: ModelProbe, options: LayerOptions) -> Array:  # noqa: ARG001
    weights = relu(probe.gradients())
    return relu(weighted_sum(probe.activations(), weights))


LAYERCAM = Method(
    name="layercam",
    title="LayerCAM",
    kind="layer",
    is_signed=False,
    cost="one run, and one gradient from the layer on",
    paper="Jiang et al. 2021, LayerCAM: Exploring Hierarchical Class Activation Maps for Localization, IEEE TIP 30,"
    " https://doi.org/10.1109/TIP.2021.3089943",
    options=LayerOptions,
    explain=_explain,
)
