"""Images in every form that callers may give, read into what is sent."""

import base64
import io
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, cast

import numpy as np

from layerscope_client._png import encode_png
from layerscope_client._results import StoredImage
from layerscope_client._text import Text, Tokens, text_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | Array | StoredImage | Text | Tokens | Image"
"""One image: a path, a file's bytes, a uint8 array of pixels, a tensor of another type, a PIL image, a stored image
or its id ("sha256-…"), or an image of a data set ("dataset:val/17"). For a model with a tokenizer, a `Text` or its `Tokens`."""

ImageBatch: TypeAlias = "ImageSource | Sequence[ImageSource]"
"""One image, or a list of images, which is a batch."""

ImageSources: TypeAlias = "ImageBatch | Mapping[str, ImageBatch]"
"""A batch; for a model with several inputs, one batch by the name of each input."""

_AXES_OF_IDS = 2
"""Of the ids of tokens: texts, and their tokens."""

_STORED_ID = re.compile(r"sha256-[0-9a-f]{64}")
_NAME = re.compile(rf"{_STORED_ID.pattern}|dataset:[a-z0-9][a-z0-9._-]*/\d+")

_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
    b"RIFF": "image/webp",
    b"\x93NUMPY": "application/x-npy",
}


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The bytes of an image file or of a text, whether or not it is uploaded already.

    Attributes:
        data: The bytes.
        media_type: That of a text; None for an image, whose first bytes tell it.
    """

    data: bytes
    media_type: str | None = None

    @property
    def digest(self) -> bytes:
        """SHA-256 of the bytes, and of what they are."""
        return sha256((self.media_type or "").encode() + self.data).digest()

    @property
    def content_type(self) -> str:
        """The media type that the first bytes stand for.

        Unknown files are sent as PNG: the service recognises files by content and has the better error message.
        """
        if self.media_type is not None:
            return self.media_type
        kinds = (kind for magic, kind in _MAGIC.items() if self.data.startswith(magic))
        return next(kinds, "image/png")


@dataclass(frozen=True, slots=True)
class TensorFile:
    """A tensor as a .npy file, which the model gets without preprocessing."""

    npy: bytes


StoredId: TypeAlias = str

Pictures: TypeAlias = list[ImageFile | StoredId]

Inputs: TypeAlias = TensorFile | Pictures | dict[str, TensorFile | Pictures]
"""The inputs of one call: a tensor, pictures, or either of them by the name of the input."""


def read_images(images: ImageSources) -> Inputs:
    """Read one image, a list of images, or either of them by the name of each input.

    Arrays of floating-point numbers, and of ids, make one tensor: a single one keeps its shape, a list is stacked
    along a new first axis.

    Raises:
        OSError: A file cannot be read.
        TypeError: An image has a type that cannot be sent.
        ValueError: There is no image, a batch mixes tensors and pictures, or the shapes of arrays do not fit.
    """
    if isinstance(images, Mapping):
        return {name: _read_batch(batch) for name, batch in images.items()}
    return _read_batch(images)


def _read_batch(images: ImageBatch) -> TensorFile | Pictures:
    if not isinstance(images, list | tuple):
        image = cast("ImageSource", images)
        return _tensor(image) if _is_tensor(image) else [read_image(image)]
    if not images:
        raise ValueError("At least one image is needed.")
    tensors = [image for image in images if _is_tensor(image)]
    if not tensors:
        return [read_image(image) for image in images]
    if len(tensors) < len(images):
        raise ValueError("A batch holds either tensors or pictures, not both.")
    return _tensor(np.stack(tensors))


def read_image(image: ImageSource) -> ImageFile | StoredId:
    """Read one image that is not a tensor.

    Raises:
        OSError: The file cannot be read.
        TypeError: The image has a type that cannot be sent as a picture.
        ValueError: The image is an array whose shape is not that of a picture.
    """
    if isinstance(image, StoredImage):
        return image.id
    if isinstance(image, str) and _NAME.fullmatch(image):
        return image
    return _read_file(image)


def _read_file(image: ImageSource) -> ImageFile:
    if isinstance(image, Text | Tokens):
        return ImageFile(*text_body(image))
    if isinstance(image, str | os.PathLike):
        return ImageFile(Path(image).read_bytes())
    if isinstance(image, bytes | bytearray | memoryview):
        return ImageFile(bytes(image))
    if isinstance(image, np.ndarray):
        return ImageFile(encode_png(_pixels(image)))
    if _is_pillow(image):
        return ImageFile(_png_of_pillow(image))
    raise TypeError(
        "An image is a path, bytes, a numpy array, a PIL image, a stored id, a Text or Tokens, "
        f"not {type(image).__name__}. Several images go in a list."
    )


def pictures_in(images: Pictures | dict[str, TensorFile | Pictures]) -> Pictures:
    """The pictures of one call, in the order in which `named_by_id` takes their ids."""
    batches = images.values() if isinstance(images, dict) else [images]
    return [picture for batch in batches if not isinstance(batch, TensorFile) for picture in batch]


def named_by_id(
    images: Pictures | dict[str, TensorFile | Pictures], ids: Iterable[StoredId]
) -> dict[str, object]:
    """The inputs of one call as the JSON of its body has them: pictures by id, tensors as they are."""
    remaining = iter(ids)

    def named(batch: TensorFile | Pictures) -> list[dict[str, str]]:
        if isinstance(batch, TensorFile):
            return [{"base64": base64.b64encode(batch.npy).decode()}]
        return [{"id": next(remaining)} for _ in batch]

    if isinstance(images, dict):
        return {"inputs": {name: named(batch) for name, batch in images.items()}}
    return {"images": named(images)}


def stored_id(image: StoredImage | StoredId) -> StoredId:
    """The id of a stored image, given as a `StoredImage` or as its id.

    Raises:
        ValueError: The text is no id.
    """
    image_id = image.id if isinstance(image, StoredImage) else image
    if _STORED_ID.fullmatch(image_id) is None:
        raise ValueError(f"The id of an image is sha256- and 64 hexadecimal digits, not {image_id[:80]!r}.")
    return image_id


def _is_tensor(image: object) -> TypeGuard[Array]:
    if not isinstance(image, np.ndarray):
        return False
    # Whole numbers of more axes may be pixels, and would be fed without preprocessing.
    is_whole = image.dtype.kind in "iub" and image.dtype != np.uint8 and image.ndim <= _AXES_OF_IDS
    return image.dtype.kind == "f" or is_whole


def _tensor(array: Array) -> TensorFile:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return TensorFile(file.getvalue())


def _pixels(array: Array) -> np.ndarray[Any, np.dtype[np.uint8]]:
    if array.dtype != np.uint8:
        raise TypeError(
            f"An array of {array.dtype} with {array.ndim} axes is ambiguous: pass uint8 for pixels, which are preprocessed, "
            "or floating point for a tensor, which is fed to the model as it is."
        )
    return array


def _is_pillow(image: object) -> "TypeGuard[Image]":
    # A PIL image exists only if Pillow is imported already, so that it need not be imported, or even installed, here.
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(image, pillow.Image)


def _png_of_pillow(image: "Image") -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()
