"""Steps of preprocessing on 8-bit pixels: alpha, grey, size and channel order."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Resize = Literal["stretch", "fit", "crop"]
Filter = Literal["nearest", "bilinear", "bicubic", "lanczos", "box"]
Color = Literal["rgb", "bgr", "grey", "rgba"]

_ALPHA = 4

_FILTERS: dict[Filter, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}


def flatten(pixels: Pixels, color: Color, background: tuple[int, int, int]) -> Pixels:
    """Composite alpha over a background and convert colour to grey, as far as `color` needs it.

    Args:
        pixels: uint8 of shape (height, width, channels) with 1, 3 or 4 channels.
        color: "grey" gives 1 channel, "rgba" keeps alpha, "rgb" and "bgr" give 1 or 3 channels in the order of RGB.
        background: Red, green and blue, 0 to 255.
    """
    channels = pixels.shape[2]
    if color == "rgba" or channels == 1 or (channels == 3 and color != "grey"):
        return pixels
    picture = _picture(pixels)
    if channels == _ALPHA:
        canvas = Image.new("RGB", picture.size, background)
        canvas.paste(picture, mask=picture)
        picture = canvas
    return _pixels(picture.convert("L") if color == "grey" else picture)


def resample(pixels: Pixels, size: tuple[int, int], resize: Resize, name: Filter) -> Pixels:
    """Resize with Pillow, which rounds to 8 bits and weights the colours of RGBA pixels by alpha.

    Args:
        pixels: uint8 of shape (height, width, channels).
        size: Height and width of the result.
        resize: "stretch" changes the proportions. "fit" keeps them: the whole picture is centred and padded with 0.
            "crop" keeps them too: only the largest centred part with the proportions of `size` is used.
        name: The resampling filter.
    """
    if pixels.shape[:2] == size:
        return pixels
    source, (left, top, right, bottom) = framing(pixels.shape[:2], size, resize)
    picture = _picture(pixels).resize((right - left, bottom - top), _FILTERS[name], box=source)
    if (bottom - top, right - left) == size:
        return _pixels(picture)
    canvas = np.zeros((*size, pixels.shape[2]), np.uint8)
    canvas[top:bottom, left:right] = _pixels(picture)
    return canvas


def framing(
    picture: tuple[int, int], size: tuple[int, int], resize: Resize
) -> tuple[tuple[float, float, float, float], tuple[int, int, int, int]]:
    """Compute which box of a picture is resized, and which box of the result it fills.

    Args:
        picture: Height and width of the picture.
        size: Height and width of the result.
        resize: As for `resample`.

    Returns:
        Left, top, right and bottom of the source box, in pixels of the picture and possibly fractions of them; the
        same of the target box, in whole pixels of the result.
    """
    (old_height, old_width), (height, width) = picture, size
    whole, everywhere = (0.0, 0.0, float(old_width), float(old_height)), (0, 0, width, height)
    if resize == "crop":
        ratio = min(old_width / width, old_height / height)
        kept_width, kept_height = width * ratio, height * ratio
        left, top = (old_width - kept_width) / 2, (old_height - kept_height) / 2
        return (left, top, left + kept_width, top + kept_height), everywhere
    if resize == "stretch":
        return whole, everywhere
    # fit: the side that needs the smaller scale decides; each side keeps at least one pixel.
    ratio = min(height / old_height, width / old_width)
    inner_height, inner_width = max(1, round(old_height * ratio)), max(1, round(old_width * ratio))
    above, before = (height - inner_height) // 2, (width - inner_width) // 2
    return whole, (before, above, before + inner_width, above + inner_height)


def arrange(pixels: Pixels, color: Color) -> Pixels:
    """Bring the channels to the number and order of `color`, as a view where possible."""
    height, width, channels = pixels.shape
    if color == "grey":
        return pixels
    if channels == 1:
        pixels = np.broadcast_to(pixels, (height, width, 3))
    if color == "bgr":
        return pixels[..., ::-1]
    if color == "rgba" and channels != _ALPHA:
        opaque = np.full((height, width, 1), 255, np.uint8)
        return np.concatenate([pixels, opaque], axis=2)
    return pixels


def true_colors(pixels: Pixels, background: tuple[int, int, int]) -> Pixels:
    """Convert 1, 3 or 4 channels to red, green and blue: grey is repeated, alpha composited over `background`.

    Returns:
        uint8 of shape (height, width, 3), C-contiguous.
    """
    return np.ascontiguousarray(arrange(flatten(pixels, "rgb", background), "rgb"))


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _pixels(picture: Image.Image) -> Pixels:
    return np.atleast_3d(np.asarray(picture))
