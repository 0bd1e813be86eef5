import struct
import threading
import zlib

import numpy as np
import pytest
from image_files import FILES, chunk, encoded, picture
from PIL import Image

from layerscope.images import decode, describe
from layerscope.limits import Limits

LIMITS = Limits()


@pytest.mark.parametrize(
    ("name", "mode", "channels"),
    [
        ("PNG", "L", 1),
        ("PNG", "RGB", 3),
        ("PNG", "RGBA", 4),
        ("BMP", "L", 1),
        ("BMP", "RGB", 3),
    ],
)
def test_lossless_pixels_come_back_exactly(name, mode, channels):
    image = picture(mode)
    decoded = decode(encoded(image, name), LIMITS)
    np.testing.assert_array_equal(decoded.pixels, np.asarray(image).reshape(30, 40, channels))
    assert (decoded.format, decoded.mode) == (name.lower(), mode)
    assert (decoded.width, decoded.height, decoded.orientation_applied) == (40, 30, 1)
    assert decoded.notes == ()


def test_gif_comes_back_exactly():
    image = picture().quantize(64)
    decoded = decode(encoded(image, "GIF"), LIMITS)
    np.testing.assert_array_equal(decoded.pixels, np.asarray(image.convert("RGB")))
    assert (decoded.format, decoded.mode, decoded.notes) == ("gif", "P", ("palette expanded to RGB",))


def test_lossless_webp_comes_back_exactly():
    image = picture("RGBA")
    image.putalpha(200)
    decoded = decode(encoded(image, "WEBP", lossless=True), LIMITS)
    np.testing.assert_array_equal(decoded.pixels, np.asarray(image))
    assert decoded.format == "webp"


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_keeps_its_channels(mode):
    decoded = decode(
        encoded(Image.new(mode, (40, 30), 128 if mode == "L" else (128, 128, 128)), "JPEG"), LIMITS
    )
    assert decoded.pixels.shape == (30, 40, {"L": 1, "RGB": 3}[mode])
    np.testing.assert_array_equal(decoded.pixels, 128)


def test_grey_with_alpha_becomes_rgba():
    image = picture("LA")
    decoded = decode(encoded(image, "PNG"), LIMITS)
    grey, alpha = np.moveaxis(np.asarray(image), 2, 0)
    np.testing.assert_array_equal(decoded.pixels, np.stack([grey, grey, grey, alpha], axis=2))
    assert decoded.notes == ("LA converted to RGBA",)


def test_cmyk_becomes_rgb():
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    decoded = decode(encoded(cyan, "JPEG", quality=100), LIMITS)
    assert decoded.pixels.shape == (16, 16, 3)
    np.testing.assert_allclose(
        decoded.pixels.astype(int), np.broadcast_to([0, 255, 255], (16, 16, 3)), atol=2
    )
    assert (decoded.mode, decoded.notes) == ("CMYK", ("CMYK converted to RGB",))


def test_palette_is_expanded():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([1, 0])
    decoded = decode(encoded(image, "PNG"), LIMITS)
    np.testing.assert_array_equal(decoded.pixels, [[[40, 50, 60], [10, 20, 30]]])
    assert decoded.notes == ("palette expanded to RGB",)


@pytest.mark.parametrize(("transparency", "alpha"), [(b"\x00\x80", [0x80, 0]), (0, [255, 0])])
def test_palette_transparency_becomes_alpha(transparency, alpha):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([1, 0])
    decoded = decode(encoded(image, "PNG", transparency=transparency), LIMITS)
    np.testing.assert_array_equal(decoded.pixels, [[[40, 50, 60, alpha[0]], [10, 20, 30, alpha[1]]]])
    assert decoded.notes == ("palette expanded to RGBA",)


def test_one_transparent_colour_becomes_alpha():
    image = Image.new("RGB", (2, 1))
    image.putdata([(1, 2, 3), (4, 5, 6)])
    decoded = decode(encoded(image, "PNG", transparency=(4, 5, 6)), LIMITS)
    np.testing.assert_array_equal(decoded.pixels, [[[1, 2, 3, 255], [4, 5, 6, 0]]])
    assert decoded.notes == ("transparent colour expanded to alpha",)


@pytest.mark.parametrize("name", ["PNG", "BMP"])
def test_one_bit_becomes_black_and_white(name):
    image = Image.new("1", (3, 1))
    image.putdata([255, 0, 255])
    decoded = decode(encoded(image, name), LIMITS)
    np.testing.assert_array_equal(decoded.pixels, [[[255], [0], [255]]])
    assert decoded.notes == ("1-bit expanded to grey",)


def test_16_bit_grey_is_scaled_not_clipped():
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    decoded = decode(encoded(Image.fromarray(ramp), "PNG"), LIMITS)
    np.testing.assert_array_equal(decoded.pixels[..., 0], ramp >> 8)
    assert (decoded.mode, decoded.notes) == ("I;16", ("16-bit scaled to 8-bit",))


def test_16_bit_grey_keeps_its_transparent_value():
    ramp = np.array([[0, 300, 65535]], np.uint16)
    data = encoded(Image.fromarray(ramp), "PNG", transparency=300)
    np.testing.assert_array_equal(
        decode(data, LIMITS).pixels, [[[0, 0, 0, 255], [1, 1, 1, 0], [255, 255, 255, 255]]]
    )


def test_16_bit_colour_keeps_its_high_bytes():
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" + struct.pack(">HHH", 65535, 256, 255)))
    decoded = decode(b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b""), LIMITS)
    np.testing.assert_array_equal(decoded.pixels, [[[255, 1, 0]]])
    assert decoded.notes == ("16-bit scaled to 8-bit",)


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_is_taken(name):
    frames = [Image.new("RGB", (20, 10), (20 * index, 0, 0)) for index in range(12)]
    options = {"lossless": True} if name == "WEBP" else {}
    data = encoded(frames[0], name, save_all=True, append_images=frames[1:], **options)
    decoded = decode(data, LIMITS)
    assert decoded.notes[0] == "first of 12 frames"
    np.testing.assert_array_equal(decoded.pixels[..., :3], 0)


@pytest.mark.parametrize("orientation", [*range(1, 9), 99])
@pytest.mark.parametrize("name", ["PNG", "WEBP"])
def test_exif_orientation_is_undone(name, orientation):
    upright = np.asarray(picture("RGB", (5, 3)))
    as_stored = {
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }.get(orientation, upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name == "WEBP" else {}
    data = encoded(Image.fromarray(np.ascontiguousarray(as_stored)), name, exif=exif, **options)
    applied = orientation if 1 <= orientation <= 8 else 1

    decoded = decode(data, LIMITS)
    np.testing.assert_array_equal(decoded.pixels, upright)
    assert decoded.orientation_applied == applied
    description = describe(data, LIMITS)
    assert (description.width, description.height, description.orientation_applied) == (5, 3, applied)

    ignored = decode(data, LIMITS, apply_orientation=False)
    np.testing.assert_array_equal(ignored.pixels, as_stored)
    assert ignored.orientation_applied == 1


def test_jpeg_orientation_swaps_the_sides():
    exif = Image.Exif()
    exif[0x0112] = 6
    description = describe(encoded(picture(), "JPEG", exif=exif), LIMITS)
    assert (description.format, description.mode, description.width, description.height) == (
        "jpeg",
        "RGB",
        30,
        40,
    )


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_description_and_pixels_agree(data):
    description, decoded = describe(data, LIMITS), decode(data, LIMITS)
    for field in ("format", "mode", "width", "height", "orientation_applied"):
        assert getattr(description, field) == getattr(decoded, field)
    assert decoded.pixels.shape[:2] == (decoded.height, decoded.width)
    assert decoded.pixels.dtype == np.uint8


def test_threads_decode_alike():
    expected = {name: decode(data, LIMITS).pixels for name, data in FILES.items()}
    different = []

    def work():
        different.extend(
            name
            for name, data in list(FILES.items()) * 5
            if not np.array_equal(decode(data, LIMITS).pixels, expected[name])
        )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert different == []
