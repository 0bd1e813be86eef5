"""Decoding of image files to 8-bit pixels.

Size and structure are checked before decoding; every conversion is noted in words.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, WebPImagePlugin  # noqa: F401 - without it, the first WebP makes Pillow load all its plugins

from layerscope.errors import LayerscopeError
from layerscope.images.headers import Format, Header, check_size, read_header, unreadable
from layerscope.limits import Limits

_ORIENTATION_TAG = 0x0112

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that undoes each EXIF orientation; all other values mean upright."""

_SWAPS_SIDES = frozenset({5, 6, 7, 8})
"""The orientations in which the stored width is the height of the upright picture."""


@dataclass(frozen=True, slots=True)
class ImageDescription:
    """The description of an image file, from its headers alone.

    Attributes:
        format: The container, decided by content.
        mode: Pillow's name of the pixel type in the file, such as "RGB", "P" or "I;16".
        width: Pixels across, after orientation.
        height: Pixels down, after orientation.
        orientation_applied: The EXIF orientation (1 to 8) that is undone; 1 is none.
    """

    format: Format
    mode: str
    width: int
    height: int
    orientation_applied: int


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """The pixels of an image, and how they were decoded.

    Attributes:
        pixels: uint8 of shape (height, width, channels), read-only. 1 channel is grey, 3 channels are red, green and
            blue, 4 channels add alpha (not premultiplied). Colour profiles are not applied.
        format: The container, decided by content.
        mode: Pillow's name of the pixel type in the file, such as "RGB", "P" or "I;16".
        width: Pixels across, after orientation.
        height: Pixels down, after orientation.
        orientation_applied: The EXIF orientation (1 to 8) that was undone; 1 is none.
        notes: Every conversion that was made, in words.
    """

    pixels: NDArray[np.uint8]
    format: Format
    mode: str
    width: int
    height: int
    orientation_applied: int
    notes: tuple[str, ...]


def describe(data: bytes, limits: Limits) -> ImageDescription:
    """Describe an image file without decoding its pixels.

    Raises:
        UnsupportedImage: The bytes are none of PNG, JPEG, WebP, BMP and GIF, or a run-length encoded BMP.
        ImageUnreadable: The headers are damaged.
        ImageTooLarge: More pixels, or a longer side, than `limits` allow.
        ImageTooComplex: More scans or blocks than an image of any size needs.
    """
    header = read_header(data, limits)
    with _open(data, header, limits) as image:
        orientation = _orientation(image)
        width, height = reversed(image.size) if orientation in _SWAPS_SIDES else image.size
        return ImageDescription(header.format, image.mode, width, height, orientation)


def decode(data: bytes, limits: Limits, apply_orientation: bool = True) -> DecodedImage:
    """Decode the first frame of an image file to 8-bit pixels.

    16-bit channels keep their high byte (0 to 65535 becomes 0 to 255). CMYK becomes RGB by Pillow's formula, palettes are
    expanded, and any transparency becomes an alpha channel.

    Args:
        data: The file.
        limits: The limits in force; size and structure are checked before any pixel is decoded.
        apply_orientation: Whether to turn the picture upright as its EXIF orientation says.

    Raises:
        UnsupportedImage: The bytes are none of PNG, JPEG, WebP, BMP and GIF, or a run-length encoded BMP.
        ImageUnreadable: The file is damaged or cut off.
        ImageTooLarge: More pixels, or a longer side, than `limits` allow.
        ImageTooComplex: More scans or blocks than an image of any size needs.
    """
    header = read_header(data, limits)
    with _open(data, header, limits) as image:
        mode = image.mode
        orientation = _orientation(image) if apply_orientation else 1
        notes = _frame_notes(image, header)
        image.load()
        pixels, conversions = _pixels(_upright(image, orientation), header)
    height, width, _ = pixels.shape
    return DecodedImage(pixels, header.format, mode, width, height, orientation, notes + conversions)


@contextmanager
def _open(data: bytes, header: Header, limits: Limits) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(data), formats=(header.format,)) as image:
            check_size(*image.size, limits)
            if image.width * image.height > header.width * header.height:
                # Memory was reserved for what the header says.
                raise unreadable(header.format)
            yield image
    except (LayerscopeError, MemoryError):
        raise
    except Exception as error:
        # A damaged file makes Pillow's readers raise nearly every built-in exception.
        raise unreadable(header.format) from error


def _orientation(image: Image.Image) -> int:
    # Not image.getexif(), which decodes the pixels of a PNG file without EXIF data.
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        orientation = exif.get(_ORIENTATION_TAG)
    except Exception:
        # Damaged EXIF data make Pillow raise many kinds of exceptions; the picture itself may be intact.
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _frame_notes(image: Image.Image, header: Header) -> tuple[str, ...]:
    frames = getattr(image, "n_frames", 1) if header.frames is None else header.frames
    return (f"first of {frames} frames",) if frames > 1 else ()


def _pixels(image: Image.Image, header: Header) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    scaled = ("16-bit scaled to 8-bit",) if header.bits == 16 else ()
    if image.mode.startswith("I"):
        return _high_bytes(image), scaled
    target, note = _conversion(image)
    pixels = np.asarray(image if target == image.mode else image.convert(target))
    return np.atleast_3d(pixels), scaled + note


def _conversion(image: Image.Image) -> tuple[str, tuple[str, ...]]:
    """The Pillow mode to convert to, one of L, RGB and RGBA, and the note about the conversion."""
    transparent = image.has_transparency_data
    match image.mode:
        case "L" | "RGB" if transparent:
            return "RGBA", ("transparent colour expanded to alpha",)
        case "L" | "RGB" | "RGBA":
            return image.mode, ()
        case "1" if not transparent:
            return "L", ("1-bit expanded to grey",)
        case "P":
            target = "RGBA" if transparent else "RGB"
            return target, (f"palette expanded to {target}",)
        case mode:
            target = "RGBA" if transparent else "RGB"
            return target, (f"{mode} converted to {target}",)


def _high_bytes(image: Image.Image) -> NDArray[np.uint8]:
    """16-bit grey as 8-bit grey, or as RGBA if one grey value is transparent. Pillow would clip values above 255."""
    values = np.asarray(image)
    grey = (values >> 8).astype(np.uint8)[..., np.newaxis]
    if (transparent := image.info.get("transparency")) is None:
        return grey
    alpha = np.where(values == transparent, 0, 255).astype(np.uint8)[..., np.newaxis]
    return np.concatenate([grey, grey, grey, alpha], axis=2)
