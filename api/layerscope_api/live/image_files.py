"""Images in every form that a program has them in, as files."""

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | Array | Image.Image"
"""One image: a path, the bytes of a file, a uint8 array of pixels (height x width, with 1, 3 or 4 channels), or an image of Pillow."""

Images: TypeAlias = "ImageSource | Iterable[ImageSource] | Mapping[str, ImageSource] | None"
"""One image, several, a uint8 array of several (images first), images by name, or none."""


def image_files(images: Images) -> dict[str, bytes]:
    """The image files, by name: that of the file, else `image 1` and so on.

    Raises:
        OSError: a file cannot be read.
        TypeError: an image has another type, or is an array of other numbers than uint8.
        ValueError: an array has not the shape of an image.
    """
    if isinstance(images, Mapping):
        return {str(name): _file(image) for name, image in images.items()}
    found: dict[str, bytes] = {}
    for number, image in enumerate(_each(images), 1):
        name = Path(image).name if isinstance(image, str | os.PathLike) else f"image {number}"
        found[name if name not in found else f"{name} {number}"] = _file(image)
    return found


def _each(images: Any) -> Iterator[Any]:
    if isinstance(images, np.ndarray):
        yield from images if _is_batch(images) else [images]
    elif isinstance(images, str | os.PathLike | bytes | Image.Image):
        yield images
    else:
        yield from images


def _is_batch(array: Array) -> bool:
    return array.ndim == 4 or (array.ndim == 3 and array.shape[-1] not in {1, 3, 4})


def _file(image: Any) -> bytes:
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | os.PathLike):
        return Path(image).read_bytes()
    if isinstance(image, np.ndarray):
        return _png(Image.fromarray(_pixels(image)))
    if isinstance(image, Image.Image):
        return _png(image)
    raise TypeError(
        f"An image is a path, bytes, a numpy array or an image of Pillow, not {type(image).__name__}."
    )


def _pixels(array: Array) -> Array:
    if array.dtype != np.uint8:
        raise TypeError(
            f"An image of {array.dtype} may have any range: give pixels as uint8, such as (255 * image).astype('uint8') for"
            " values from 0 to 1, and say with preprocessing what the model makes of them."
        )
    if array.ndim == 3 and array.shape[-1] == 1:
        return array[..., 0]
    if array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in {3, 4}):
        return array
    raise ValueError(f"An image is height x width, with 1, 3 or 4 channels, not {array.shape}.")


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()
