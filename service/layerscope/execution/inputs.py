"""Inputs: from images and tensors of a request to rows that a model can run.

A row is what one run of one image takes: one item for each input of the model. Images are decoded and preprocessed when a
row is loaded, which happens only if the model must run.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from layerscope.errors import InputMismatch, TooMany
from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.tap import Input, Shape
from layerscope.images import DecodedImage, ImageDescription, Preprocessing, decode, describe
from layerscope.images.headers import check_size
from layerscope.limits import Limits

Array = np.ndarray[Any, np.dtype[Any]]

_FED_AS = {"bfloat16": "float32"}
"""The dtype in which an input is fed where numpy lacks its own."""

ANY_INPUT = "image"
"""The name a caller may use for the only input of a model, whatever the model calls it."""


@dataclass(frozen=True)
class ImageSource:
    """An image file: any format and size that `layerscope.images` decodes."""

    data: bytes

    @cached_property
    def id(self) -> str:
        """A name of the content, `sha256-` and 64 hexadecimal digits."""
        return f"sha256-{hashlib.sha256(self.data).hexdigest()}"


@dataclass(frozen=True, eq=False)
class TensorSource:
    """A tensor: the input for one image, or for several with a batch axis.

    Two sources are equal if their values have the same bits, shape and dtype, NaN included.

    Attributes:
        values: fed as they are; with `preprocess`, pixels of 0 to 255 of shape (height, width),
            (height, width, channels) or (images, height, width, channels).
        preprocess: whether to apply the preprocessing that the model declares.
    """

    values: Array
    preprocess: bool = False

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorSource):
            return NotImplemented
        return self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    @property
    def _content(self) -> tuple[object, ...]:
        # An array that comes out of a pickle may be laid out otherwise in memory, and NaN is unequal to itself.
        return self.preprocess, self.values.dtype.str, self.values.shape, self.values.tobytes()


Source = ImageSource | TensorSource
Sources = Mapping[str, Sequence[Source]]
"""Sources by input name. The name may be `image` for models with one input. The n-th images of all inputs make a row."""


@dataclass(frozen=True)
class Item:
    """One image of one input.

    Attributes:
        input: the input.
        source: a file, or values without batch axis.
        preprocessing: None for values that are fed as they are.
    """

    input: Input
    source: ImageSource | Array
    preprocessing: Preprocessing | None

    @cached_property
    def id(self) -> str:
        """A name of the content, `sha256-` and 64 hexadecimal digits."""
        if isinstance(self.source, ImageSource):
            return self.source.id
        header = f"{self.source.dtype.str}{self.source.shape}".encode()
        digest = hashlib.sha256(header)
        digest.update(np.ascontiguousarray(self.source).data)
        return f"sha256-{digest.hexdigest()}"

    @cached_property
    def key(self) -> str:
        """A name of the tensor that goes into the model: of the content and its preprocessing. It is part of cache keys."""
        return f"{self.id}/{self.preprocessing.digest if self.preprocessing else 'as-is'}"

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
        _require_fit(self.input, shape)
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
        _require_fit(self.input, values.shape)
        return _converted(values, self.input)


Row = tuple[Item, ...]
"""One item for each input of the model."""


def rows_of(model: ModelDescription, sources: Sources, limits: Limits) -> list[Row]:
    """Assign the sources to the model's inputs. Nothing is decoded yet.

    Raises:
        InputMismatch: an input is missing or unknown, or inputs have different numbers of images.
        TooMany: more images than one request may carry.
    """
    by_input = _by_input(model, sources)
    columns = [
        _items(each, model.preprocessing[each.name], by_input[each.name], limits) for each in model.inputs
    ]
    counts = {len(column) for column in columns}
    if len(counts) > 1:
        pairs = ", ".join(
            f"{each.name} {len(column)}" for each, column in zip(model.inputs, columns, strict=True)
        )
        raise InputMismatch(f"Each input must have as many images as the others; got {pairs}.")
    if counts == {0}:
        raise InputMismatch("The request has no image.", inputs=[each.name for each in model.inputs])
    require_few_images(max(counts), limits)
    return list(zip(*columns, strict=True))


def require_few_images(images: int, limits: Limits) -> None:
    """Check the number of images of a request.

    Raises:
        TooMany: it is more than `limits.images_per_request`.
    """
    if images > limits.images_per_request:
        raise TooMany(
            f"{images} images are more than the {limits.images_per_request} one request may carry",
            ways=(
                "send the rest in further requests",
                "leave out images that are there twice",
                "let the service be set up with more images_per_request",
            ),
            images=images,
            limit=limits.images_per_request,
        )


def require_one_size(rows: Sequence[Sequence[tuple[int, ...]]]) -> None:
    """Check that the images of each input can be in one batch, by their shapes.

    Raises:
        InputMismatch: they have different sizes.
    """
    for column in zip(*rows, strict=True):
        shapes = set(column)
        if len(shapes) > 1:
            raise InputMismatch(
                "The images have different sizes, which this model computes on as they are: send them one by one.",
                shapes=sorted(map(list, shapes)),
            )


def stack(rows: Sequence[Sequence[Array]]) -> list[Array]:
    """One array an input, (batch, *shape), of rows that passed `require_one_size`."""
    columns = zip(*rows, strict=True)
    return [column[0][None] if len(column) == 1 else np.stack(column) for column in columns]


def _by_input(model: ModelDescription, sources: Sources) -> dict[str, Sequence[Source]]:
    names = [each.name for each in model.inputs]
    if len(names) == 1 and set(sources) == {ANY_INPUT}:
        return {names[0]: sources[ANY_INPUT]}
    if set(sources) != set(names):
        raise InputMismatch(
            f"{model.name} takes the inputs {', '.join(names)}; the request has {', '.join(sources) or 'none'}.",
            inputs=names,
        )
    return dict(sources)


def _items(
    each: Input, preprocessing: Preprocessing | None, sources: Sequence[Source], limits: Limits
) -> list[Item]:
    items: list[Item] = []
    for source in sources:
        if isinstance(source, ImageSource):
            items.append(Item(each, source, preprocessing))
        elif source.preprocess:
            if preprocessing is None:
                raise InputMismatch(
                    f"Input {each.name!r} does not take images: send its tensor with preprocess=false.",
                    input=each.name,
                )
            images = source.values if source.values.ndim == 4 else source.values[None]
            require_few_images(len(images), limits)
            items.extend(Item(each, image, preprocessing) for image in images)
        else:
            is_batch = source.values.ndim == len(each.shape) + 1
            images = source.values if is_batch else source.values[None]
            # Before they are taken apart: without values, the number of images is whatever a header says.
            _require_fit(each, images.shape[1:])
            require_few_images(len(images), limits)
            items.extend(Item(each, image, None) for image in images)
    return items


def _require_fit(each: Input, shape: Shape) -> None:
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
