"""A picture to draw over, and where the model's input lies in it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from layerscope.images.geometry import Geometry


@dataclass(frozen=True, kw_only=True, slots=True)
class Background:
    """A picture and the geometry of what the model sees of it.

    Attributes:
        pixels: Red, green and blue, uint8 of shape (height, width, 3).
        geometry: The way from the model's input to these pixels.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    geometry: Geometry
