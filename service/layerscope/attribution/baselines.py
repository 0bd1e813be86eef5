"""What stands for nothing, where a method takes something of an image away."""

from typing import Literal

import numpy as np

from layerscope.attribution.method import Array
from layerscope.attribution.model_probe import Probe
from layerscope.errors import OptionInvalid

Color = Literal["black", "grey", "white"]
Baseline = Literal["black", "grey", "white", "mean", "zero"]

_PIXELS: dict[str, float] = {"black": 0.0, "grey": 127.5, "white": 255.0}


def meaning(default: Color) -> str:
    """How the option is described."""
    return (
        "`black`, `grey` or `white` as the model sees it, the image's own `mean` colour, or `zero` in the model's"
        f" input; left out, {default}, or zero where an input takes no images"
    )


def baseline_of(probe: Probe, number: int, baseline: Baseline | None, default: Color) -> Array:
    """An image of nothing, in the shape of an image: (height, width, channels), float32.

    Raises:
        OptionInvalid: the input takes no images, so that nobody knows what a colour is there.
    """
    image = probe.image(number)
    if baseline == "zero":
        return np.zeros_like(image)
    level = image.mean(axis=(0, 1)) if baseline == "mean" else probe.level(_PIXELS[baseline or default])
    if level is None:
        if baseline is None:
            return np.zeros_like(image)
        message = f"What {baseline} is to this input is not known, for it takes no images: use mean or zero."
        raise OptionInvalid(message, option="baseline")
    return np.broadcast_to(level.astype(np.float32), image.shape)
