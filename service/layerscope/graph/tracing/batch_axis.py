"""The batch axis: which tensors of a traced model have rows for each image, and which mix the images.

The first axis of most tensors is the batch axis. A table of positions has none, and is the same for every image. A tensor
that was transposed, stacked or summed over the batch has none either, but depends on every image, and so may everything
that is computed from it.

To find out, the shapes of all doubtful tensors are inferred for a batch of 1,009 images. That is a prime, so an axis whose
length is a multiple of it counts images.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any

import tensorflow as tf

from layerscope.errors import ModelRefused
from layerscope.graph.taps.tap import Shape
from layerscope.graph.tracing.signature import Signature

_BATCH = 1_009
"""A prime that no axis of a model is likely to be a multiple of."""

_FREE_SIZES = (128, 16, None)
"""Sizes to try for free axes: a model may have a largest or a smallest size. None leaves the axis open."""

_ONLY_SHAPE = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})
"""Operations that read no values."""


@dataclass(frozen=True)
class Rows:
    """How a tensor depends on the images of a batch. Without both attributes, it is the same for all images.

    Attributes:
        batched: whether its first axis counts images, or rows of images.
        mixed: whether its values for an image depend on other images, or cannot be separated from theirs.
    """

    batched: bool
    mixed: bool


def rows_of(graph: Any, signature: Signature, tensors: Sequence[Any]) -> dict[str, Rows]:
    """Determine how each tensor depends on the images of a batch, by the tensor's name.

    Args:
        graph: the traced graph.
        signature: what it was traced on: the graph's first inputs.
        tensors: tensors of the graph.

    Raises:
        ModelRefused: the model does not run on batches of every size.
    """
    entrances = graph.inputs[: len(signature.inputs)]
    dependent = _downstream(graph, entrances)
    if signature.is_batch_fixed:
        return {each.name: _fixed_rows(each, signature.batch_size, dependent) for each in tensors}
    read = [tensor for tensor in _read_numbers(graph) if tensor.name in dependent]
    doubtful = {
        tensor.name: tensor
        for tensor in (*tensors, *read)
        if tensor.name not in dependent or not _is_plainly_batched(tensor)
    }
    shapes = _shapes(graph, entrances, doubtful) if doubtful else {}
    mixing = [tensor for tensor in read if tensor.name in shapes and _mixes_images(shapes[tensor.name])]
    mixed = _downstream(graph, mixing)
    result = {}
    for tensor in tensors:
        name, is_dependent = tensor.name, tensor.name in dependent
        batched = name not in doubtful or _counts_images(tensor, shapes[name], is_dependent=is_dependent)
        if is_dependent and not batched and _counts(tensor, signature.batch_size):
            raise _refusal()
        result[name] = Rows(batched, mixed=is_dependent and (not batched or name in mixed))
    return result


def _fixed_rows(tensor: Any, size: int | None, dependent: Container[str]) -> Rows:
    """In a batch of fixed size, what depends on the images and has as many rows has one for each."""
    is_dependent = tensor.name in dependent
    batched = is_dependent and _counts(tensor, size)
    return Rows(batched, mixed=is_dependent and not batched)


def _downstream(graph: Any, tensors: Iterable[Any]) -> set[str]:
    """The names of these tensors and of all that are computed from their values, not only from their shapes."""
    found = {tensor.name for tensor in tensors}
    for operation in graph.get_operations():
        if operation.type not in _ONLY_SHAPE and any(source.name in found for source in operation.inputs):
            found.update(tensor.name for tensor in operation.outputs)
    return found


def _read_numbers(graph: Any) -> Iterator[Any]:
    """The tensors of fractions that some operation reads. Integers count and point; they are no values of images."""
    for operation in graph.get_operations():
        for tensor in operation.outputs:
            if tensor.dtype.is_floating and tensor.consumers():
                yield tensor


def _is_plainly_batched(tensor: Any) -> bool:
    if tensor.shape.rank is None:
        return False
    first, *others = tensor.shape.as_list() or [0]
    return first is None and None not in others


def _counts(tensor: Any, images: int | None) -> bool:
    return images is not None and bool(tensor.shape[:1] == [images])


def _counts_images(tensor: Any, shape: Shape | None, *, is_dependent: bool) -> bool:
    """Whether the first axis of a tensor does that has this shape in a batch of `_BATCH` images."""
    if not tensor.shape.rank:
        return False
    size = shape[0] if shape else None
    if size is None:
        return tensor.shape[0] is None
    # A single row is that of the image, if it is computed image by image.
    return size % _BATCH == 0 or (size == 1 and is_dependent)


def _mixes_images(shape: Shape | None) -> bool:
    """Whether what was computed from `_BATCH` images and has this shape has no place for each of them.

    What mixes images and keeps a place for each, such as a sum that grows along the batch, is not found.
    """
    if shape is None or None in shape:
        return False
    return prod(size for size in shape if size is not None) % _BATCH != 0


def _shapes(graph: Any, entrances: Sequence[Any], names: Iterable[str]) -> dict[str, Shape | None]:
    """The shape of each tensor in a batch of `_BATCH` images, as far as TensorFlow can tell without a run."""
    for free in _FREE_SIZES:
        sizes = [[_BATCH, *(size or free for size in tensor.shape[1:])] for tensor in entrances]
        with suppress(ValueError):
            return _inferred(graph, entrances, sizes, names)
    raise _refusal()


def _inferred(
    graph: Any, entrances: Sequence[Any], sizes: Sequence[Any], names: Iterable[str]
) -> dict[str, Shape | None]:
    with tf.Graph().as_default() as scratch:
        replaced = {
            tensor.name: tf.compat.v1.placeholder(tensor.dtype, shape)
            for tensor, shape in zip(entrances, sizes, strict=True)
        }
        replaced |= dict(_variables(graph))
        tf.import_graph_def(graph.as_graph_def(), input_map=replaced, name="")
        found = {name: scratch.get_tensor_by_name(name).shape for name in names}
    return {name: tuple(shape.as_list()) if shape.rank is not None else None for name, shape in found.items()}


def _variables(graph: Any) -> Iterator[tuple[str, Any]]:
    """A placeholder for a variable does not tell the variable's shape."""
    known = {variable.handle.ref(): variable for variable in graph.variables}
    for outer, inner in graph.captures:
        variable = known.get(outer.ref())
        if variable is not None:
            yield inner.name, tf.raw_ops.VarHandleOp(dtype=variable.dtype, shape=variable.shape)


def _refusal() -> ModelRefused:
    return ModelRefused("The model runs only on batches of a certain size: save it with a free batch size.")
