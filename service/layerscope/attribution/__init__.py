"""Attribution methods: each explains an output by a heat map over an image. One module for each, and one registry."""

from layerscope.attribution.eigencam import EIGENCAM
from layerscope.attribution.gradcam import GRADCAM
from layerscope.attribution.gradcam_plus_plus import GRADCAM_PLUS_PLUS
from layerscope.attribution.guided_saliency import GUIDED_SALIENCY
from layerscope.attribution.hirescam import HIRESCAM
from layerscope.attribution.integrated_gradients import INTEGRATED_GRADIENTS
from layerscope.attribution.layercam import LAYERCAM
from layerscope.attribution.method import Method, MethodOptions, TargetOptions
from layerscope.attribution.model_probe import ModelProbe
from layerscope.attribution.occlusion import OCCLUSION
from layerscope.attribution.saliency import SALIENCY
from layerscope.attribution.scorecam import SCORECAM
from layerscope.attribution.smoothgrad import SMOOTHGRAD
from layerscope.errors import OptionInvalid

METHODS = {
    method.name: method
    for method in (
        GRADCAM,
        GRADCAM_PLUS_PLUS,
        HIRESCAM,
        LAYERCAM,
        EIGENCAM,
        SCORECAM,
        SALIENCY,
        SMOOTHGRAD,
        INTEGRATED_GRADIENTS,
        GUIDED_SALIENCY,
        OCCLUSION,
    )
}
"""All methods by name, the cheap ones for feature maps first."""


def method_of(name: str) -> Method:
    """A method by name.

    Raises:
        OptionInvalid: there is no such method.
    """
    if name not in METHODS:
        message = f"There is no attribution method {name[:80]!r}: use {', '.join(METHODS)}."
        raise OptionInvalid(message, option="method", methods=list(METHODS))
    return METHODS[name]


__all__ = ["METHODS", "Method", "MethodOptions", "ModelProbe", "TargetOptions", "method_of"]
