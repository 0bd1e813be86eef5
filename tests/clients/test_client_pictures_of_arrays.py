"""uint8 arrays become PNG files that Pillow, the reference, reads back unchanged."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from layerscope_client._png import encode_png

SIDES = st.integers(1, 20)
SHAPES = st.one_of(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES, st.integers(1, 4)))


@given(arrays.arrays(np.uint8, SHAPES))
def test_no_pixel_changes(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        image.load()
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        assert image.mode == ("L", "LA", "RGB", "RGBA")[channels - 1]
        np.testing.assert_array_equal(np.asarray(image).reshape(pixels.shape), pixels)


@pytest.mark.parametrize("shape", [(), (4,), (4, 4, 5), (0, 4), (4, 0, 3), (1, 4, 4, 3)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        encode_png(np.zeros(shape, np.uint8))
