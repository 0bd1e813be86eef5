"""Find out which tensors of a traced model have one row, or some rows, for each image.

The first axis of most is the batch axis. A table of positions has none, and is the same for every image. A tensor
that was turned, stacked or summed over the batch has none of its own either, and yet depends on every image.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import tensorflow as tf

from layerscope.errors import ModelRefused
from layerscope.graph.signature import Signature

Role = Literal["rows", "constant", "mixed"]

_BATCH = 1_009
"""A prime that no axis of a model is likely to be a multiple of."""

_FREE_SIZES = (128, 16, None)
"""What to try as the size of axes that are free: a model may have a largest or a smallest size. None leaves it open."""

_ONLY_SHAPE = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})


def roles(graph: Any, signature: Signature, tensors: Iterable[Any]) -> dict[str, Role]:
    """Tell what the first axis of each tensor is, by the tensor's name.

    Args:
        graph: the traced graph.
        signature: what it was traced on: the graph's first inputs.
        tensors: tensors of the graph.

    Returns:
        "rows": it counts images, or rows of images. "constant": it does not, and the values are the same for all
        images. "mixed": it does not, and the values depend on them.

    Raises:
        ModelRefused: the model does not run on batches of every size.
    """
    entrances = graph.inputs[: len(signature.inputs)]
    dependent = _dependent(graph, entrances)
    result: dict[str, Role] = {}
    doubtful = []
    for tensor in tensors:
        result[tensor.name] = "rows"
        if tensor.op not in dependent or not _is_plainly_batched(tensor):
            doubtful.append(tensor)
    sizes = _sizes(graph, entrances, doubtful) if doubtful else {}
    for tensor in doubtful:
        role = _role(tensor, sizes[tensor.name], is_dependent=tensor.op in dependent)
        if (
            role == "mixed"
            and signature.batch_size is not None
            and tensor.shape[:1] == [signature.batch_size]
        ):
            raise _refusal()
        result[tensor.name] = role
    return result


def _dependent(graph: Any, entrances: Sequence[Any]) -> set[Any]:
    """The operations that compute from the values of the entrances, not only from their shapes."""
    found = {tensor.op for tensor in entrances}
    for operation in graph.get_operations():
        if operation.type not in _ONLY_SHAPE and any(source.op in found for source in operation.inputs):
            found.add(operation)
    return found


def _is_plainly_batched(tensor: Any) -> bool:
    first, *others = tensor.shape.as_list() or [0]
    return first is None and None not in others


def _role(tensor: Any, size: int | None, *, is_dependent: bool) -> Role:
    """`size` is that of the first axis in a batch of `_BATCH` images."""
    if size is None:
        counts_images = bool(tensor.shape.rank) and tensor.shape[0] is None
    else:
        # A single row is that of the image, if it is computed image by image.
        counts_images = size % _BATCH == 0 or (size == 1 and is_dependent)
    if counts_images:
        return "rows"
    return "mixed" if is_dependent else "constant"


def _sizes(graph: Any, entrances: Sequence[Any], tensors: Iterable[Any]) -> Mapping[str, int | None]:
    """The first axis of each tensor in a batch of `_BATCH` images, as far as TensorFlow can tell without a run."""
    names = [tensor.name for tensor in tensors]
    for free in _FREE_SIZES:
        shapes = [[_BATCH, *(size or free for size in tensor.shape[1:])] for tensor in entrances]
        with suppress(ValueError):
            return _first_axes(graph, entrances, shapes, names)
    raise _refusal()


def _first_axes(
    graph: Any, entrances: Sequence[Any], shapes: Sequence[Any], names: Iterable[str]
) -> dict[str, int | None]:
    with tf.Graph().as_default() as scratch:
        replaced = {
            tensor.name: tf.compat.v1.placeholder(tensor.dtype, shape)
            for tensor, shape in zip(entrances, shapes, strict=True)
        }
        replaced |= dict(_variables(graph))
        tf.import_graph_def(graph.as_graph_def(), input_map=replaced, name="")
        found = {name: scratch.get_tensor_by_name(name).shape for name in names}
    return {name: shape[0] if shape.rank else None for name, shape in found.items()}


def _variables(graph: Any) -> Iterator[tuple[str, Any]]:
    """A placeholder for a variable does not tell the variable's shape."""
    known = {variable.handle.ref(): variable for variable in graph.variables}
    for outer, inner in graph.captures:
        variable = known.get(outer.ref())
        if variable is not None:
            yield inner.name, tf.raw_ops.VarHandleOp(dtype=variable.dtype, shape=variable.shape)


def _refusal() -> ModelRefused:
    return ModelRefused("The model runs only on batches of a certain size: save it with a free batch size.")
