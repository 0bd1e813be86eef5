"""Inputs: from images and tensors of a request to rows that a model can run.

A row is what one run of one image takes: one item for each input of the model. Images are decoded and preprocessed when a
row is loaded, which happens only if the model must run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from layerscope.errors import InputMismatch, TooMany
from layerscope.execution.items import Array, ImageSource, Item, Row, require_fit
from layerscope.execution.text_rows import TextSource, rows_of_texts
from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.tap import Input
from layerscope.images import Preprocessing, StoredImage, is_npy, read_npy
from layerscope.limits import Limits
from layerscope.text import decoded, is_text

__all__ = [
    "ANY_INPUT",
    "Array",
    "ImageSource",
    "Item",
    "Row",
    "Source",
    "Sources",
    "TensorSource",
    "TextSource",
    "require_few_images",
    "require_one_size",
    "rows_of",
    "source_of",
    "stack",
]

ANY_INPUT = "image"
"""The name a caller may use for the only input of a model, whatever the model calls it."""


@dataclass(frozen=True, eq=False)
class TensorSource:
    """A tensor: the input for one image, or for several with a batch axis.

    Two sources are equal if their values have the same bits, shape and dtype, NaN included.

    Attributes:
        values: fed as they are; with `preprocess`, pixels of 0 to 255 of shape (height, width),
            (height, width, channels) or (images, height, width, channels).
        preprocess: whether to apply the preprocessing that the model declares.
        stored_id: the id of the stored file that the values are in; None if they are in none.
    """

    values: Array
    preprocess: bool = False
    stored_id: str | None = None

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


Source = ImageSource | TensorSource | TextSource
Sources = Mapping[str, Sequence[Source]]
"""Sources by input name. The name may be `image` for models with one input. The n-th images of all inputs make a row."""


def source_of(stored: StoredImage, limits: Limits, preprocess: bool = False) -> Source:
    """What is stored: an image file, a tensor as a .npy file, or an encoded text.

    Args:
        stored: as it is in the store.
        limits: the bounds in force.
        preprocess: as for `TensorSource`.

    Raises:
        TensorUnreadable: the .npy file is damaged.
        TextUnreadable, InvalidRequest: the text is damaged.
    """
    if is_text(stored.data):
        return TextSource(decoded(stored.data))
    if is_npy(stored.data):
        return TensorSource(read_npy(stored.data, limits), preprocess, stored.id)
    return ImageSource(stored.data)


def rows_of(model: ModelDescription, sources: Sources, limits: Limits) -> list[Row]:
    """Assign the sources to the model's inputs. Nothing is decoded yet.

    Raises:
        InputMismatch: an input is missing or unknown, or inputs have different numbers of images.
        TooMany: more images than one request may carry.
        NoTokenizer: there are texts, and the model does not take any.
        TextTooLong: texts are too long.
    """
    texts = _texts(sources, limits)
    if texts:
        return rows_of_texts(model, texts, limits)
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


def _texts(sources: Sources, limits: Limits) -> list[TextSource]:
    """The texts of a request; empty if it has none."""
    every = [source for column in sources.values() for source in column]
    texts = [source for source in every if isinstance(source, TextSource)]
    if texts and (len(texts) < len(every) or set(sources) != {ANY_INPUT}):
        raise InputMismatch("Texts stand for all inputs of a model: send no images or tensors with them.")
    require_few_images(len(texts), limits)
    return texts


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
        elif isinstance(source, TensorSource) and source.preprocess:
            if preprocessing is None:
                raise InputMismatch(
                    f"Input {each.name!r} does not take images: send its tensor with preprocess=false.",
                    input=each.name,
                )
            images = source.values if source.values.ndim == 4 else source.values[None]
            require_few_images(len(images), limits)
            items.extend(_named(source, [Item(each, image, preprocessing) for image in images]))
        elif isinstance(source, TensorSource):
            is_batch = source.values.ndim == len(each.shape) + 1
            images = source.values if is_batch else source.values[None]
            # Before they are taken apart: without values, the number of images is whatever a header says.
            require_fit(each, images.shape[1:])
            require_few_images(len(images), limits)
            items.extend(_named(source, [Item(each, image, None) for image in images]))
    return items


def _named(source: TensorSource, items: list[Item]) -> list[Item]:
    """The only item of a stored file has the id of the file; several have ids of their own."""
    return [replace(items[0], stored_id=source.stored_id)] if len(items) == 1 else items
