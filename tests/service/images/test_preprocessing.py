import io

import numpy as np
import pytest
from PIL import Image, ImageOps
from pydantic import ValidationError

from layerscope.errors import OptionInvalid
from layerscope.images import Preprocessing, decode
from layerscope.limits import Limits


def decoded(pixels):
    pixels = np.asarray(pixels, np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    image = decode(file.getvalue(), Limits())
    np.testing.assert_array_equal(image.pixels, pixels)
    return image


def noise(height, width, channels):
    return np.random.default_rng(3).integers(0, 256, (height, width, channels), dtype=np.uint8)


COLOUR = noise(7, 9, 3)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("none", lambda x: x),
        ("unit", lambda x: x / 255),
        ("signed", lambda x: x / 127.5 - 1),
        ("caffe", lambda x: x[..., ::-1] - np.array([103.939, 116.779, 123.68])),
        ("torch", lambda x: (x / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])),
    ],
)
@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_presets_are_their_formulas(name, formula, layout):
    values = Preprocessing.preset(name, layout=layout).apply(decoded(COLOUR))
    expected = formula(COLOUR.astype(np.float64))
    if layout == "nchw":
        expected = expected.transpose(2, 0, 1)
    np.testing.assert_allclose(values, expected, rtol=3e-7, atol=3e-5 if name == "caffe" else 5e-7)
    assert values.dtype == np.float32
    assert values.flags.c_contiguous


@pytest.mark.parametrize("name", ["unit", "signed"])
def test_the_ends_of_a_range_are_exact(name):
    ends = Preprocessing.preset(name, color="grey").apply(decoded([[[0], [255]]]))
    assert ends.ravel().tolist() == {"unit": [0.0, 1.0], "signed": [-1.0, 1.0]}[name]


def test_mean_and_std_become_scale_and_offset():
    declared = Preprocessing.declared({"mean": [10, 20, 30], "std": 2})
    assert declared.scale == (0.5,)
    assert declared.offset == (-5.0, -10.0, -15.0)
    values = declared.apply(decoded(COLOUR))
    np.testing.assert_array_equal(values, (COLOUR - np.float32([10, 20, 30])) / 2)


@pytest.mark.parametrize(
    ("overrides", "scale", "offset"),
    [
        ({"offset": 5}, (1.0,), (5.0,)),
        ({"std": [2, 4, 8]}, (0.5, 0.25, 0.125), (-123.675 / 2, -116.28 / 4, -103.53 / 8)),
    ],
)
def test_overriding_a_preset_normalisation(overrides, scale, offset):
    changed = Preprocessing.preset("torch", **overrides)
    assert changed.scale == scale
    assert changed.offset == pytest.approx(offset)


def test_mean_takes_the_place_of_a_presets_scale():
    assert Preprocessing.preset("unit", mean=1).scale == (1.0,)


def test_declaration_of_a_preset():
    declared = Preprocessing.declared({"preset": "unit", "size": [28, 28], "color": "grey"})
    assert (declared.size, declared.color, declared.channels) == ((28, 28), "grey", 1)
    assert declared.apply(decoded(COLOUR)).shape == (28, 28, 1)


def test_what_is_echoed_can_be_declared_again():
    original = Preprocessing.preset("torch", size=[5, 6], resize="fit", layout="nchw")
    again = Preprocessing.declared(original.model_dump(mode="json"))
    assert again == original
    assert again.digest == original.digest


@pytest.mark.parametrize(
    "change",
    [
        {"size": (5, 5)},
        {"resize": "fit"},
        {"filter": "box"},
        {"color": "bgr"},
        {"scale": 2},
        {"offset": 1},
        {"layout": "nchw"},
        {"background": (1, 0, 0)},
        {"exif": False},
    ],
)
def test_digest_changes_with_every_field_that_matters(change):
    assert Preprocessing.preset("none", **change).digest != Preprocessing().digest


def test_digest_does_not_change_when_it_was_assumed():
    assert Preprocessing(assumed=True).digest == Preprocessing().digest


def test_it_cannot_be_changed():
    with pytest.raises(ValidationError):
        Preprocessing().color = "grey"


@pytest.mark.parametrize("color", ["rgb", "bgr", "grey", "rgba"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels(color, channels):
    pixels = noise(4, 5, channels)
    values = Preprocessing(color=color, background=(10, 20, 30)).apply(decoded(pixels))
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    if channels == 4 and color != "rgba":
        canvas = Image.new("RGBA", image.size, (10, 20, 30, 255))
        image = Image.alpha_composite(canvas, image)
    mode = {"grey": "L", "rgba": "RGBA"}.get(color, "RGB")
    expected = np.atleast_3d(np.asarray(image.convert(mode)))
    if color == "bgr":
        expected = expected[..., ::-1]
    tolerance = 1 if channels == 4 else 0
    np.testing.assert_allclose(values, expected.astype(np.float32), atol=tolerance)


def test_transparent_pixels_take_the_background():
    pixels = np.array([[[200, 100, 50, 0], [200, 100, 50, 255]]], np.uint8)
    values = Preprocessing(background=(1, 2, 3)).apply(decoded(pixels))
    np.testing.assert_array_equal(values, [[[1, 2, 3], [200, 100, 50]]])
    np.testing.assert_array_equal(Preprocessing().apply(decoded(pixels))[0, 0], 0)


def test_grey_is_itu_601_luma():
    primaries = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    values = Preprocessing(color="grey").apply(decoded(primaries))
    np.testing.assert_array_equal(values.ravel(), [76, 150, 29])


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "lanczos", "box"])
def test_stretch_is_pillows_resize(name):
    values = Preprocessing(size=(4, 6), filter=name).apply(decoded(COLOUR))
    expected = Image.fromarray(COLOUR).resize((6, 4), Image.Resampling[name.upper()])
    np.testing.assert_array_equal(values, np.asarray(expected))


@pytest.mark.parametrize(
    ("source", "filled"),
    [
        ((10, 20), (slice(2, 6), slice(0, 8))),
        ((20, 10), (slice(0, 8), slice(2, 6))),
        ((5, 5), (slice(8), slice(8))),
    ],
)
def test_fit_pads_around_the_centre(source, filled):
    white = np.full((*source, 3), 255, np.uint8)
    values = Preprocessing(size=(8, 8), resize="fit").apply(decoded(white))
    expected = np.zeros((8, 8, 3))
    expected[filled] = 255
    np.testing.assert_array_equal(values, expected)


def test_fit_pads_before_scaling():
    white = np.full((1, 2, 1), 255, np.uint8)
    values = Preprocessing.preset("signed", size=(4, 4), resize="fit", color="grey").apply(decoded(white))
    np.testing.assert_array_equal(values[..., 0], [[-1] * 4, [1] * 4, [1] * 4, [-1] * 4])


@pytest.mark.parametrize("size", [(6, 6), (3, 12), (12, 3)])
def test_crop_is_the_largest_centred_part(size):
    pixels = noise(12, 18, 3)
    values = Preprocessing(size=size, resize="crop").apply(decoded(pixels))
    expected = ImageOps.fit(Image.fromarray(pixels), size[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_allclose(values, np.asarray(expected, np.float32), atol=1)


def test_crop_keeps_the_middle():
    pixels = np.arange(8, dtype=np.uint8).reshape(1, 8, 1).repeat(4, axis=0)
    values = Preprocessing(size=(4, 4), resize="crop", color="grey").apply(decoded(pixels))
    np.testing.assert_array_equal(values[0, :, 0], [2, 3, 4, 5])


@pytest.mark.parametrize("resize", ["stretch", "fit", "crop"])
@pytest.mark.parametrize("shape", [(1, 2_000, 1), (2_000, 1, 1)])
def test_extreme_proportions(resize, shape):
    white = np.full(shape, 255, np.uint8)
    values = Preprocessing(size=(16, 16), resize=resize, color="grey").apply(decoded(white))
    assert values.shape == (16, 16, 1)
    assert values.max() == 255


@pytest.mark.parametrize("resize", ["stretch", "fit", "crop"])
def test_the_right_size_is_left_alone(resize):
    same = Preprocessing(size=(7, 9), resize=resize).apply(decoded(COLOUR))
    np.testing.assert_array_equal(same, COLOUR)


@pytest.mark.parametrize(
    ("declaration", "option"),
    [
        ({"preset": "imagenet"}, "preset"),
        ({"preset": ["unit"]}, "preset"),
        ({"sizes": [1, 2]}, "sizes"),
        ({"size": [28]}, "size"),
        ({"size": [0, 28]}, "size"),
        ({"size": [28, 8193]}, "size"),
        ({"size": [28.5, 28]}, "size"),
        ({"size": "28"}, "size"),
        ({"resize": "pad"}, "resize"),
        ({"filter": "cubic"}, "filter"),
        ({"color": "RGB"}, "color"),
        ({"layout": "chw"}, "layout"),
        ({"scale": float("nan")}, "scale"),
        ({"scale": [1, 2]}, "scale"),
        ({"scale": []}, "scale"),
        ({"scale": "much"}, "scale"),
        ({"offset": float("inf")}, "offset"),
        ({"offset": [1, 2, 3], "color": "grey"}, "offset"),
        ({"mean": "x"}, "mean"),
        ({"mean": 10**400}, "mean"),
        ({"mean": [1, 2, 3], "std": [1, 2]}, "std"),
        ({"std": 0}, "std"),
        ({"std": [1, 0, 1]}, "std"),
        ({"mean": 1, "scale": 1}, "mean"),
        ({"background": [0, 0]}, "background"),
        ({"background": [0, 0, 256]}, "background"),
        ({"exif": "perhaps"}, "exif"),
    ],
)
def test_mistakes_name_the_field_in_words(declaration, option):
    with pytest.raises(OptionInvalid) as caught:
        Preprocessing.declared(declaration)
    assert caught.value.details["option"] == option
    assert option in caught.value.message
    assert "pydantic" not in caught.value.message
    assert "\n" not in caught.value.message
