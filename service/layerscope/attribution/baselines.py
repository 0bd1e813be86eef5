"""Baselines: images that stand for the absence of information, where a method removes part of an image."""

from typing import Literal

import numpy as np

from layerscope.attribution.method import Array
from layerscope.attribution.model_probe import ModelProbe
from layerscope.errors import OptionInvalid

Color = Literal["black", "grey", "white"]
Baseline = Literal["black", "grey", "white", "mean", "zero"]

_PIXELS: dict[str, float] = {"black": 0.0, "grey": 127.5, "white": 255.0}


def baseline_description(default: Color) -> str:
    """The description of the option `baseline`."""
    return (
        "`black`, `grey` or `white` as the model sees it, the image's own `mean` colour, or `zero` in the model's"
        f" input; left out, {default}, or zero where an input takes no images"
    )


def baseline_image(probe: ModelProbe, number: int, baseline: Baseline | None, default: Color) -> Array:
    """The baseline of an image, in its shape: (*places, channels), float32.

    Args:
        probe: has the image.
        number: the number of the image.
        baseline: the option, None if the caller left it out.
        default: the colour that the method uses then.

    Raises:
        OptionInvalid: the input takes no images, so that nobody knows which values a colour has there; or it is a vector, whose
            features have no mean in common.
    """
    image, is_vector = probe.image(number), probe.places == ("channels",)
    if baseline == "zero":
        return np.zeros_like(image)
    if baseline == "mean" and is_vector:
        raise OptionInvalid("The features of a vector have no mean in common: use zero.", option="baseline")
    level = (
        image.mean(axis=tuple(range(image.ndim - 1)), dtype=np.float64)
        if baseline == "mean"
        else probe.grey_values(_PIXELS[baseline or default])
    )
    if level is None:
        if baseline is None:
            return np.zeros_like(image)
        others = "zero" if is_vector else "mean or zero"
        message = f"What {baseline} is to this input is not known, for it takes no images: use {others}."
        raise OptionInvalid(message, option="baseline")
    return np.broadcast_to(level.astype(np.float32), image.shape)
