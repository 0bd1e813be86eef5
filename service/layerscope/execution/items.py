"""Items: one image, tensor or text of one input of a model. Images are decoded and preprocessed when an item is loaded."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from layerscope.errors import InputMismatch
from layerscope.graph.taps.tap import Input, Shape
from layerscope.images import DecodedImage, ImageDescription, Preprocessing, content_id, decode, describe
from layerscope.images.headers import check_size
from layerscope.limits import Limits
from layerscope.text import Token

Array = np.ndarray[Any, np.dtype[Any]]

_FED_AS = {"bfloat16": "float32"}
"""The dtype in which an input is fed where numpy lacks its own."""


@dataclass(frozen=True)
class ImageSource:
    """An image file: any format and size that `layerscope.images` decodes."""

    data: bytes

    @cached_property
    def id(self) -> str:
        """A name of the content, `sha256-` and 64 hexadecimal digits."""
        return content_id(self.data)


@dataclass(frozen=True)
class TextOrigin:
    """The text that an item was made of.

    Attributes:
        id: a name of the text, as `ImageSource.id`.
        tokens: one for each position of the input.
        left_out: how many tokens were cut off.
    """

    id: str
    tokens: tuple[Token, ...]
    left_out: int = 0


@dataclass(frozen=True)
class Item:
    """One image of one input.

    Attributes:
        input: the input.
        source: a file, or values without batch axis.
        preprocessing: None for values that are fed as they are.
        text: what the values were made of, if that is a text.
        stored_id: the id of the stored tensor that the source is; None if it is none.
    """

    input: Input
    source: ImageSource | Array
    preprocessing: Preprocessing | None
    text: TextOrigin | None = None
    stored_id: str | None = None

    @cached_property
    def id(self) -> str:
        """A name of the content, `sha256-` and 64 hexadecimal digits."""
        return (self.stored_id or self._source_id) if self.text is None else self.text.id

    @cached_property
    def _source_id(self) -> str:
        if isinstance(self.source, ImageSource):
            return self.source.id
        header = f"{self.source.dtype.str}{self.source.shape}".encode()
        digest = hashlib.sha256(header)
        digest.update(np.ascontiguousarray(self.source).data)
        return f"sha256-{digest.hexdigest()}"

    @cached_property
    def key(self) -> str:
        """A name of the tensor that goes into the model: of the content and its preprocessing. It is part of cache keys."""
        return f"{self._source_id}/{self.preprocessing.digest if self.preprocessing else 'as-is'}"

    def load(self, limits: Limits) -> Array:
        """The tensor that goes into the model, without batch axis.

        Raises:
            InputMismatch: it does not fit the model's input.
            LayerscopeError: the image cannot be decoded, see `layerscope.images.decode`.
        """
        if self.preprocessing is None:
            values = self._refuse() if isinstance(self.source, ImageSource) else self.source
        else:
            values = self.preprocessing.apply(self.image(limits, upright=self.preprocessing.exif))
        return self._fitted(values)

    def shape(self, limits: Limits) -> tuple[int, ...]:
        """The shape of the tensor that `load` gives. No pixel is decoded.

        Raises:
            InputMismatch: it does not fit the model's input.
            LayerscopeError: the image's header cannot be read, see `layerscope.images.describe`.
        """
        if self.preprocessing is None:
            values = self._refuse() if isinstance(self.source, ImageSource) else self.source
            shape: tuple[int, ...] = values.shape
        elif None not in self.input.shape:
            shape = tuple(size or 0 for size in self.input.shape)
        else:
            shape = self.preprocessing.shape(self.describe(limits))
        require_fit(self.input, shape)
        return shape

    def loaded_bytes(self, limits: Limits) -> int:
        """The bytes of the tensor; 0 if it is what the caller sent, as it is."""
        dtype = np.dtype(_FED_AS.get(self.input.dtype, self.input.dtype))
        is_sent = self.preprocessing is None and getattr(self.source, "dtype", None) == dtype
        return 0 if is_sent else prod(self.shape(limits)) * dtype.itemsize

    def describe(self, limits: Limits) -> ImageDescription | DecodedImage:
        """What is known of the image before a pixel is decoded."""
        if isinstance(self.source, ImageSource):
            return describe(self.source.data, limits)
        return _as_image(self.source, limits)

    def image(self, limits: Limits, *, upright: bool) -> DecodedImage:
        """The image itself.

        Args:
            limits: the bounds in force.
            upright: whether to undo its EXIF orientation.

        Raises:
            LayerscopeError: it cannot be decoded, see `layerscope.images.decode`.
        """
        if isinstance(self.source, ImageSource):
            return decode(self.source.data, limits, apply_orientation=upright)
        return _as_image(self.source, limits)

    def _refuse(self) -> Array:
        raise InputMismatch(
            f"Input {self.input.name!r} of shape {list(self.input.shape)} does not take images: send a tensor (.npy).",
            input=self.input.name,
            shape=list(self.input.shape),
        )

    def _fitted(self, values: Array) -> Array:
        require_fit(self.input, values.shape)
        return _converted(values, self.input)


Row = tuple[Item, ...]
"""One item for each input of the model."""


def ids_of(row: Row) -> tuple[str, ...]:
    """The names of the images of a row, one for each input; just one if the row is a text."""
    return (row[0].id,) if row[0].text is not None else tuple(item.id for item in row)


def tokens_of(rows: Sequence[Row]) -> tuple[tuple[Token, ...], ...]:
    """The tokens of each row; nothing if the rows are no texts."""
    return tuple(row[0].text.tokens for row in rows if row[0].text is not None)


def cut_warnings(rows: Sequence[Row]) -> tuple[str, ...]:
    """A sentence for each text that was cut."""
    cut = [(number, row[0].text.left_out) for number, row in enumerate(rows) if row[0].text is not None]
    return tuple(
        f"Text {number} is longer than the model takes: {left_out:,} of its tokens were left out."
        for number, left_out in cut
        if left_out
    )


def require_fit(each: Input, shape: Shape) -> None:
    """Check that an input takes values of a shape. A side is zero only where the model declares that.

    Raises:
        InputMismatch: it does not.
    """
    wanted = each.shape
    if len(wanted) == len(shape) and all(
        w == v or (w is None and v) for w, v in zip(wanted, shape, strict=True)
    ):
        return
    positive = ", each ? at least 1," if 0 in shape and None in wanted else ","
    raise InputMismatch(
        f"Input {each.name!r} takes shape {_written(wanted)}{positive} not {_written(shape)}.",
        input=each.name,
        expected=list(wanted),
        got=list(shape),
    )


def _converted(values: Array, each: Input) -> Array:
    """Values in the dtype of the input. Floats may lose precision; values of other dtypes must stay the same."""
    if values.dtype.kind not in "biuf":
        raise InputMismatch(f"Input {each.name!r} takes {each.dtype}, not {values.dtype}.", input=each.name)
    with np.errstate(over="ignore", invalid="ignore"):
        converted = values.astype(_FED_AS.get(each.dtype, each.dtype), order="C", copy=False)
    if converted.dtype.kind != "f" and not np.array_equal(converted, values):
        raise InputMismatch(
            f"Input {each.name!r} takes {each.dtype}, which cannot hold all of these numbers.",
            input=each.name,
        )
    return converted


def _as_image(values: Array, limits: Limits) -> DecodedImage:
    pixels = values[..., None] if values.ndim == 2 else values
    if pixels.ndim != 3 or pixels.shape[2] not in {1, 3, 4} or 0 in pixels.shape:
        raise InputMismatch(f"A tensor of shape {_written(values.shape)} is not an image to preprocess.")
    if pixels.dtype != np.uint8:
        raise InputMismatch(
            f"preprocess=true takes pixels as uint8, not {pixels.dtype}.", dtype=str(pixels.dtype)
        )
    height, width = pixels.shape[:2]
    check_size(width, height, limits)
    return DecodedImage(
        pixels=pixels, format="png", mode="RGB", width=width, height=height, orientation_applied=1, notes=()
    )


def _written(shape: Sequence[int | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape) or "()"
