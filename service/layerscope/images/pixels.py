"""The steps of preprocessing that work on 8-bit pixels: alpha, grey, size and channel order."""

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
    """Composite alpha over a background and turn colour to grey, where `color` asks for it.

    Args:
        pixels: Shape (height, width, 1, 3 or 4).
        color: "grey" leaves 1 channel, "rgba" leaves alpha as it is, the others leave 1 or 3 channels.
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
    """Resize with Pillow, which rounds to 8 bits and weights colour by alpha when there are 4 channels.

    Args:
        pixels: Shape (height, width, channels).
        size: Height and width of the result.
        resize: "stretch" changes the proportions; "fit" keeps them, centred and padded with 0; "crop" keeps
            them by using only the largest centred part that has the proportions of `size`.
        name: The filter.
    """
    if pixels.shape[:2] == size:
        return pixels
    height, width = size
    picture, resampling = _picture(pixels), _FILTERS[name]
    if resize == "fit":
        return _fit(picture, size, resampling)
    box = _centred(picture.size, size) if resize == "crop" else None
    return _pixels(picture.resize((width, height), resampling, box=box))


def arrange(pixels: Pixels, color: Color) -> Pixels:
    """Bring the channels to the number and order of `color`, as a view where that is possible."""
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


def _fit(picture: Image.Image, size: tuple[int, int], resampling: Image.Resampling) -> Pixels:
    height, width = size
    ratio = min(height / picture.height, width / picture.width)
    inner = max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))
    pixels = _pixels(picture.resize(inner, resampling))
    canvas = np.zeros((height, width, pixels.shape[2]), np.uint8)
    top, left = (height - inner[1]) // 2, (width - inner[0]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = pixels
    return canvas


def _centred(picture: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the largest centred box with the proportions of `size`, in pixels."""
    ratio = min(picture[0] / size[1], picture[1] / size[0])
    width, height = size[1] * ratio, size[0] * ratio
    left, top = (picture[0] - width) / 2, (picture[1] - height) / 2
    return left, top, left + width, top + height


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _pixels(picture: Image.Image) -> Pixels:
    return np.atleast_3d(np.asarray(picture))
