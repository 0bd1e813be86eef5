"""Sizes that a graph computes from the shapes of tensors, as the target of a reshape; a prime stands for each free size."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerscope.graph.axes.graph import FollowedGraph, full_name

Numbers = NDArray[np.int64]

_FREE = (1_000_003, 10_007, 10_009, 10_037, 10_039, 10_061)


def free_size(axis: int) -> int | None:
    """What stands for the size of an axis that only a run tells, as that of the batch; None if there are too many."""
    return _FREE[axis] if axis < len(_FREE) else None


def is_free(size: int | None) -> bool:
    """Whether only a run tells a size."""
    return size is None or size in _FREE


def computed_sizes(graph: FollowedGraph, tensor: str) -> Sequence[int] | None:
    """The numbers that a tensor of sizes holds; None if they are not computed from shapes and constants alone."""
    try:
        return [int(each) for each in _value(graph, tensor).reshape(-1)]
    except LookupError:
        return None


def _value(graph: FollowedGraph, tensor: str) -> Numbers:
    """Raises LookupError if it cannot be told."""
    constant = graph.constant(tensor)
    if constant is not None:
        return np.asarray(constant, np.int64)
    node = graph.node(tensor)
    sources = [full_name(each) for each in node.input if not each.startswith("^")]
    if node.op == "Shape":
        return _shape(graph, sources[0])
    return _RULES[node.op](node, [_value(graph, each) for each in sources])


def _shape(graph: FollowedGraph, tensor: str) -> Numbers:
    sizes = [
        free_size(axis) if size is None else size
        for axis, size in enumerate(graph.shape(tensor) or (None,) * 9)
    ]
    if None in sizes:
        raise LookupError(tensor)
    return np.array(sizes, np.int64)


def _strided_slice(node: Any, values: Sequence[Numbers]) -> Numbers:
    """Of a vector: one number, or some."""
    attr = node.attr
    numbers, begin, end, step = values[0], int(values[1][0]), int(values[2][0]), int(values[3][0])
    if attr["shrink_axis_mask"].i:
        return np.asarray(numbers[begin])
    return numbers[None if attr["begin_mask"].i else begin : None if attr["end_mask"].i else end : step]


_RULES: dict[str, Callable[[Any, Sequence[Numbers]], Numbers]] = {
    "AddV2": lambda _, values: values[0] + values[1],
    "Cast": lambda _, values: values[0],
    "ConcatV2": lambda _, values: np.concatenate(values[:-1]),
    "FloorDiv": lambda _, values: values[0] // values[1],
    "GatherV2": lambda _, values: values[0][values[1]],
    "Identity": lambda _, values: values[0],
    "Mul": lambda _, values: values[0] * values[1],
    "Pack": lambda _, values: np.stack(values),
    "Prod": lambda _, values: np.asarray(np.prod(values[0])),
    "Reshape": lambda _, values: values[0].reshape(values[1]),
    "StridedSlice": _strided_slice,
    "Sub": lambda _, values: values[0] - values[1],
}
"""For the operations that sizes are computed with; they are small vectors."""
