import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from layerscope.errors import AnswerTooLarge, NoPicture, OptionInvalid
from layerscope.images import Background, Geometry
from layerscope.limits import Limits
from layerscope.render import PictureOptions, lookup_table, overlay

VIRIDIS = lookup_table("viridis", 256)


def background(height=40, width=60, geometry=None):
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return Background(pixels=pixels, geometry=geometry or Geometry.identity((height, width)))


def laid(heat, ground, limits=None, **options):
    look = {
        each: options.pop(each) for each in ("alpha", "interpolation", "metadata", "form") if each in options
    }
    values = np.asarray(heat, np.float32)
    return overlay(values, ground, PictureOptions(**options), limits=limits or Limits(), **look)


def rgb(picture):
    return np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB"))


def test_alpha_0_is_the_picture_and_alpha_1_the_map():
    ground = background()

    np.testing.assert_array_equal(rgb(laid([[0, 1]], ground, alpha=0)), ground.pixels)
    covered = rgb(laid([[0, 1]], ground, alpha=1, interpolation="nearest"))
    assert (covered[:, :30] == VIRIDIS[0]).all()
    assert (covered[:, 30:] == VIRIDIS[255]).all()


@given(array_shapes(min_dims=2, max_dims=2, max_side=9).flatmap(lambda sides: arrays(np.uint8, (*sides, 3))))
def test_every_picture_comes_through_a_file_as_it_was(pixels):
    ground = Background(pixels=pixels, geometry=Geometry.identity(pixels.shape[:2]))

    for form in ("png", "webp"):
        np.testing.assert_array_equal(rgb(laid([[0]], ground, alpha=0, form=form, colorbar=False)), pixels)


def test_half_way_is_the_mean_of_both():
    ground = background()

    drawn = rgb(laid([[3]], ground, alpha=0.5)).astype(int)

    assert np.abs(drawn - (ground.pixels.astype(int) + VIRIDIS[0]) / 2).max() <= 1


def test_bilinear_runs_from_centre_to_centre():
    drawn = rgb(laid([[0, 1]], background(1, 256), alpha=1, colormap="gray"))[0, :, 0].astype(int)

    assert (drawn[:64] == 0).all()
    assert (drawn[192:] == 255).all()
    assert (np.diff(drawn) >= 0).all()
    assert abs(drawn[128] - 128) <= 1


def test_bilinear_between_the_ends_of_float32_does_not_overflow():
    look = {"alpha": 1, "colormap": "gray", "centered": "true"}
    drawn = rgb(laid([[-3e38, 3e38]], background(1, 256), **look))[0, :, 0]

    np.testing.assert_array_equal(drawn, rgb(laid([[-3, 3]], background(1, 256), **look))[0, :, 0])


def test_a_crop_leaves_the_rest_of_the_picture_as_it_is():
    ground = background(40, 60, Geometry.of((40, 60), (8, 8), "crop"))

    drawn = rgb(laid(np.zeros((2, 2)), ground, alpha=1))

    np.testing.assert_array_equal(drawn[:, :10], ground.pixels[:, :10])
    np.testing.assert_array_equal(drawn[:, 50:], ground.pixels[:, 50:])
    assert (drawn[:, 10:50] == VIRIDIS[0]).all()


def test_of_padding_nothing_is_drawn():
    """The picture lies in the middle rows of the input; only their values come to lie on it."""
    ground = background(20, 60, Geometry.of((20, 60), (6, 6), "fit"))

    drawn = rgb(laid([[5], [5], [0], [1], [5], [5]], ground, alpha=1, interpolation="nearest", range=(0, 1)))

    assert (drawn[:10] == VIRIDIS[0]).all()
    assert (drawn[10:] == VIRIDIS[255]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_seen_as_stored_is_turned_with_its_map(orientation):
    """Pillow turns the map as it would turn the picture."""
    heat = np.arange(6, dtype=np.float32).reshape(2, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(heat.repeat(10, axis=0).repeat(10, axis=1))
    file = io.BytesIO()
    stored.save(file, "TIFF", exif=exif)
    from PIL import ImageOps

    upright = np.asarray(ImageOps.exif_transpose(Image.open(file)))
    ground = background(*upright.shape, Geometry.of(upright.shape, (4, 9), "stretch", orientation))

    drawn = rgb(laid(heat, ground, alpha=1, interpolation="nearest"))

    np.testing.assert_array_equal(drawn, VIRIDIS[np.minimum(upright * 256 // 5, 255).astype(int)])


def test_scale_and_colour_bar():
    ground = background(30, 20)
    plain, large = rgb(laid([[1, 2]], ground)), rgb(laid([[1, 2]], ground, scale=3))
    barred = laid([[1, 2]], ground, colorbar=True, alpha=0)

    np.testing.assert_array_equal(large, plain.repeat(3, axis=0).repeat(3, axis=1))
    np.testing.assert_array_equal(rgb(barred)[:30, :20], ground.pixels)
    assert barred.width > 40


def test_both_signs_are_centred_and_what_is_not_finite_is_marked():
    signed = laid([[-1, 2]], background())
    damaged = laid([[np.nan, 1], [1, 0]], background(), alpha=1, interpolation="nearest")

    assert (signed.colormap, signed.value_min, signed.value_max) == ("vik", -2, 2)
    assert (rgb(damaged)[:20, :30] == (255, 0, 255)).all()
    assert damaged.nonfinite == 1
    assert "NaN" in damaged.notes[0]


def test_the_same_arguments_give_the_same_bytes_and_nothing_is_changed():
    heat, ground = np.random.default_rng(2).normal(size=(7, 7)).astype(np.float32), background()
    before = heat.tobytes(), ground.pixels.tobytes()

    files = {laid(heat, ground, metadata={"layer": "a"}).data for _ in range(3)}

    assert len(files) == 1
    assert (heat.tobytes(), ground.pixels.tobytes()) == before
    assert Image.open(io.BytesIO(files.pop())).text | {"value_max": "", "value_min": ""} == {
        "alpha": "0.5",
        "colormap": "vik",
        "layer": "a",
        "nonfinite": "0",
        "value_max": "",
        "value_min": "",
    }


def test_webp_shows_the_same():
    heat, ground = np.eye(5), background()
    png, webp = laid(heat, ground), laid(heat, ground, form="webp")

    assert (png.media_type, webp.media_type) == ("image/png", "image/webp")
    assert webp.data[8:12] == b"WEBP"
    np.testing.assert_array_equal(rgb(webp), rgb(png))


@pytest.mark.parametrize("heat", [np.zeros((0, 3)), np.zeros(4), np.zeros((2, 2, 2))])
def test_what_is_no_map_is_refused(heat):
    with pytest.raises(NoPicture, match="no map"):
        laid(heat, background())


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_has_bounds(alpha):
    with pytest.raises(OptionInvalid, match="alpha must be from 0 to 1"):
        laid([[1]], background(), alpha=alpha)


def test_the_limit_is_that_of_every_picture():
    with pytest.raises(AnswerTooLarge, match="2,400 pixels, more than 2,399"):
        laid([[1]], background(), limits=Limits(picture_pixels=2399))
