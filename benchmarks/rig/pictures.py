"""Different pictures for every request, so that no answer comes from a cache."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

_COARSE = 4


def pictures(
    width: int, height: int, *, channels: int = 3, file_format: str = "JPEG", seed: int = 0
) -> Iterator[bytes]:
    """Endless image files of one size: random colours, smoothed, so that they compress about like photographs.

    Args:
        width: pixels.
        height: pixels.
        channels: 1 for grey, 3 for colour.
        file_format: "JPEG" or "PNG".
        seed: other seeds give other pictures.
    """
    random = np.random.default_rng(seed)
    shape = (max(height // _COARSE, 1), max(width // _COARSE, 1), channels)
    while True:
        coarse = random.integers(0, 256, shape, np.uint8)
        image = Image.fromarray(coarse[..., 0] if channels == 1 else coarse)
        file = io.BytesIO()
        image.resize((width, height)).save(file, file_format, quality=90)
        yield file.getvalue()
