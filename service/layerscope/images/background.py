"""Background of an overlay: the picture, and the position of the model's input in it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from layerscope.images.geometry import Geometry


@dataclass(frozen=True, kw_only=True, slots=True)
class Background:
    """A picture to draw over.

    Attributes:
        pixels: Red, green and blue, uint8 of shape (height, width, 3).
        geometry: The mapping from the model's input to these pixels.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    geometry: Geometry
