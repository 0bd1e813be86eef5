import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import FILES, GIF_SCREEN, chunk, encoded, picture, png, with_right_checksums, with_scans
from PIL import Image

from layerscope.errors import ImageTooComplex, ImageTooLarge, ImageUnreadable, UnsupportedImage
from layerscope.images import decode, describe
from layerscope.limits import Limits

LIMITS = Limits()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"PK\x03\x04",
        b"BM is the beginning of this text",
        encoded(picture(), "TIFF"),
        encoded(picture(), "ICO"),
        encoded(picture(), "PPM"),
    ],
    ids=["empty", "text", "svg", "pdf", "eps", "keras", "bm", "tiff", "ico", "ppm"],
)
@pytest.mark.parametrize("read", [decode, describe])
def test_what_is_not_one_of_five_formats_is_unsupported(read, data):
    with pytest.raises(UnsupportedImage):
        read(data, LIMITS)


def test_run_length_bmp_is_unsupported():
    data = bytearray(encoded(picture("L"), "BMP"))
    data[30] = 1
    with pytest.raises(UnsupportedImage, match="Run-length"):
        decode(bytes(data), LIMITS)


@pytest.mark.parametrize("name", ["png", "jpeg", "progressive", "webp", "lossy webp", "bmp", "gif"])
@pytest.mark.parametrize("percent", range(5, 100, 5))
def test_truncated_files_are_unreadable(name, percent):
    data = FILES[name]
    with pytest.raises(ImageUnreadable):
        decode(data[: len(data) * percent // 100], LIMITS)


def test_wrong_checksum_of_pixels_is_unreadable():
    data = bytearray(FILES["png"])
    data[data.index(b"IEND") - 8] ^= 1
    with pytest.raises(ImageUnreadable):
        decode(bytes(data), LIMITS)


@pytest.mark.parametrize("kind", [b"iCCP", b"zTXt"])
def test_compressed_metadata_bombs_are_unreadable(kind):
    bomb = chunk(kind, b"name\0\0" + zlib.compress(bytes(50_000_000)))
    with pytest.raises(ImageUnreadable):
        decode(png(1, 1, bomb), LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        png(20_000, 10_000),
        png(2**31 - 1, 1),
        encoded(Image.new("L", (9000, 9000)), "PNG"),
        FILES["webp"][:12] + b"VP8X\x0a\0\0\0\0\0\0\0" + b"\xff\x3f\0" * 2 + FILES["webp"][12:],
        b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0, 0, 0) + b",",
        b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, 10_000, -10_000, 1, 24, 0) + bytes(20),
        b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03" + bytes(20),
    ],
    ids=["200 Mpx", "wide", "9000x9000", "webp", "gif", "bmp", "jpeg"],
)
@pytest.mark.parametrize("read", [decode, describe])
def test_too_many_pixels_are_refused_with_both_numbers(read, data):
    with pytest.raises(ImageTooLarge) as caught:
        read(data, LIMITS)
    details = caught.value.details
    assert details["pixels"] > details["limit_pixels"] or details["width"] > details["limit_side"]
    assert str(details["width"]) in caught.value.message
    assert str(LIMITS.image_pixels) in caught.value.message


def test_a_gif_frame_larger_than_its_screen_counts():
    extension = b"!\xf9\x04\x09\0\0\0\0"
    data = (
        GIF_SCREEN + extension + b"," + struct.pack("<HHHHB", 0, 0, 13_000, 13_000, 0) + b"\x08\x01\x00\x00;"
    )
    with pytest.raises(ImageTooLarge):
        describe(data, LIMITS)


def test_pillows_own_bound_holds_under_larger_limits():
    with pytest.raises(ImageTooLarge) as caught:
        describe(png(15_000, 15_000), Limits(image_pixels=10**9))
    assert caught.value.details["limit_pixels"] == 178_956_970


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_no_pixels_are_unreadable(size):
    with pytest.raises(ImageUnreadable):
        decode(png(*size), LIMITS)


@pytest.mark.parametrize("scans", [33, 206])
def test_too_many_scans_are_refused(scans):
    with pytest.raises(ImageTooComplex) as caught:
        decode(with_scans(scans), LIMITS)
    assert (caught.value.details["count"], caught.value.details["limit"]) == (scans, 32)


def test_as_many_scans_as_allowed_are_decoded():
    assert decode(with_scans(32), LIMITS).pixels.shape == (30, 40, 3)


def test_a_preview_inside_the_metadata_is_no_scan():
    exif = b"Exif\0\0" + b"\xff\xda" * 100
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    data = FILES["jpeg"]
    assert decode(data[:2] + segment + data[2:], LIMITS).pixels.shape == (30, 40, 3)


@pytest.mark.parametrize(
    "data",
    [
        FILES["jpeg"][:2] + b"\xff\xe0\0\2" * 20_000 + FILES["jpeg"][2:],
        FILES["jpeg"][:2] + b"\xff\xe1\0\x08Exif\0\0" * 17 + FILES["jpeg"][2:],
        png(1, 1, chunk(b"prVt", b"") * 20_000),
        GIF_SCREEN + b"!\xfe" + b"\x01x" * 300_000 + b"\0",
        GIF_SCREEN + b"!\xf9\0" * 300_000,
    ],
    ids=["jpeg segments", "exif segments", "png chunks", "gif sub-blocks", "gif extensions"],
)
def test_floods_of_blocks_are_refused(data):
    with pytest.raises(ImageTooComplex):
        describe(data, LIMITS)


def test_junk_between_jpeg_segments_is_bounded():
    data = FILES["jpeg"]
    assert decode(data[:20] + bytes(1_000) + data[20:], LIMITS).pixels.shape == (30, 40, 3)
    with pytest.raises(ImageUnreadable):
        describe(data[:20] + bytes(100_000) + data[20:], LIMITS)


@settings(max_examples=600)
@given(
    st.sampled_from(sorted(FILES)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
    st.floats(0, 0.2),
    st.sampled_from(["keep", "cut", "insert"]),
)
def test_only_our_errors_leave(name, changes, spread, edit):
    data = bytearray(FILES[name])
    for place, value in changes:
        data[int(place * min(1, spread + 0.05) * len(data))] = value
    at = int(changes[0][0] * len(data))
    if edit == "cut":
        del data[at : at + 7]
    elif edit == "insert":
        data[at:at] = bytes(value for _, value in changes)
    mutated = with_right_checksums(data) if "png" in name else bytes(data)
    small = Limits(image_pixels=1_000_000)
    for read in (describe, decode):
        try:
            result = read(mutated, small)
        except (ImageTooComplex, ImageTooLarge, ImageUnreadable, UnsupportedImage):
            continue
        assert result.width * result.height <= small.image_pixels
