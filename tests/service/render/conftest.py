import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from layerscope.limits import Limits
from layerscope.render import Picture, PictureOptions, render


@pytest.fixture(scope="session")
def draw() -> Callable[..., Picture]:
    """Draw maps given as anything numpy reads, as float32 unless it is an array, with options as keywords."""

    def drawn(maps: object, **options: object) -> Picture:
        values = maps if isinstance(maps, np.ndarray) else np.array(maps, dtype=np.float32)
        return render(values, PictureOptions(**options), limits=Limits())

    return drawn


@pytest.fixture(scope="session")
def rgb() -> Callable[[Picture], NDArray[np.uint8]]:
    """Decode a picture to red, green and blue, shape (height, width, 3)."""
    return lambda picture: np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB"))


@pytest.fixture(scope="session")
def palette_indices() -> Callable[[Picture], NDArray[np.uint8]]:
    """Decode a picture to its palette indices, shape (height, width)."""
    return lambda picture: np.asarray(Image.open(io.BytesIO(picture.data)))
