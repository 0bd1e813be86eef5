"""Geometry, compared with what preprocessing does with pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_files import encoded
from PIL import Image

from layerscope.images import Geometry, Preprocessing, decode, describe
from layerscope.limits import Limits

LIMITS = Limits()

sides = st.integers(1, 60)
boxes = st.tuples(*[st.floats(-100, 100)] * 4)


@st.composite
def geometries(draw):
    size = draw(st.none() | st.tuples(sides, sides))
    resize = draw(st.sampled_from(["stretch", "fit", "crop"]))
    return Geometry.of((draw(sides), draw(sides)), size, resize, draw(st.integers(1, 8)))


def oriented(pixels, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(Image.fromarray(pixels), "PNG", exif=exif)


@given(geometries(), boxes)
def test_there_and_back_is_where_one_was(geometry, box):
    reach = 1e-9 * 100 * max(*geometry.original, *geometry.size)

    assert geometry.to_input(geometry.to_original(box)) == pytest.approx(box, abs=reach)
    assert geometry.to_original(geometry.to_input(box)) == pytest.approx(box, abs=reach)


@given(geometries())
def test_what_the_model_sees_lies_in_the_picture(geometry):
    left, top, right, bottom = geometry.to_original(geometry.target)

    height, width = geometry.original
    assert -1e-9 <= left < right <= width + 1e-9
    assert -1e-9 <= top < bottom <= height + 1e-9


@given(sides, sides, st.integers(1, 8))
def test_an_input_of_the_pictures_size_is_the_picture(height, width, orientation):
    geometry = Geometry.of((height, width), None, "crop", orientation)

    assert geometry.to_original((0, 0, *geometry.size[::-1])) == (0, 0, width, height)


@pytest.mark.parametrize("exif", [True, False])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("resize", ["stretch", "fit", "crop"])
def test_a_mark_in_the_picture_is_found_where_the_model_sees_it(resize, orientation, exif):
    """Paint a block of the stored picture, find it in the input, and in the picture as it is shown."""
    pixels = np.zeros((60, 90, 3), np.uint8)
    pixels[24:36, 30:48] = 255
    file = oriented(pixels, orientation)
    preprocessing = Preprocessing.declared({"size": [240, 300], "resize": resize, "exif": exif})
    geometry = preprocessing.geometry(describe(file, LIMITS))

    seen = preprocessing.model_view(decode(file, LIMITS, apply_orientation=exif))
    shown = decode(file, LIMITS).pixels

    assert geometry.size == seen.shape[:2]
    assert geometry.original == shown.shape[:2]
    assert geometry.to_original(extent(seen)) == pytest.approx(extent(shown), abs=1)
    assert geometry.to_input(extent(shown)) == pytest.approx(extent(seen), abs=4)


def extent(pixels):
    rows, columns = np.nonzero(pixels[..., 0] > 127)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_receiving_a_description_or_the_image_makes_no_difference():
    file = oriented(np.zeros((20, 30, 3), np.uint8), 6)
    preprocessing = Preprocessing.declared({"size": [8, 8], "exif": False})

    assert preprocessing.geometry(describe(file, LIMITS)) == preprocessing.geometry(decode(file, LIMITS))


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("preset", ["unit", "signed", "caffe", "torch"])
def test_a_tensor_shows_the_picture_it_was_made_of(preset, layout):
    pixels = np.random.default_rng(3).integers(0, 256, (6, 5, 3), np.uint8)
    image = decode(encoded(Image.fromarray(pixels), "PNG"), LIMITS)
    preprocessing = Preprocessing.preset(preset, layout=layout)

    np.testing.assert_array_equal(preprocessing.model_view(image), pixels)
    np.testing.assert_array_equal(preprocessing.picture_of_tensor(preprocessing.apply(image)), pixels)
