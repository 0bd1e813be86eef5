"""Bytes of the nodes of an imported graph, with those of the functions that its loops and branches call."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

from layerscope.graph.analysis.node_memory import NodeBytes, NodeMemory

_COPYING = frozenset({"TensorListStack"})
"""Operations that have their result twice for a moment: they collect it from parts."""

_BRANCHES = frozenset({"If", "StatelessIf"})

_LOOPS = frozenset({"While", "StatelessWhile"})

_DEEPEST = 4
"""How deeply functions are followed into each other."""


def nodes_of(graph: Any) -> list[tuple[str, str, list[str]]]:
    """Name, operation and data inputs of the nodes of a `tf.Graph`, in the order in which they were made."""
    return [(each.name, each.type, [read.op.name for read in each.inputs]) for each in graph.get_operations()]


def bytes_of(graph: Any, names: Sequence[str], longest: int, replaced: Mapping[str, Any]) -> NodeBytes:
    """What the nodes of a `tf.Graph` take, whose shapes are those of one image.

    Args:
        graph: where shapes were inferred.
        names: of the nodes, in the order of the result.
        longest: taken for sizes that only a run can tell, and for the number of steps of a loop.
        replaced: tensors that take the place of nodes, by name.
    """
    library: dict[str, Any] = {}
    if any(_calls(each) for each in graph.get_operations()):
        library = {each.signature.name: each for each in graph.as_graph_def().library.function}
    operations = [
        replaced[name].op if name in replaced else graph.get_operation_by_name(name) for name in names
    ]
    return _bytes_of(operations, library, longest, longest, 0)


def _bytes_of(
    operations: Sequence[Any], library: Mapping[str, Any], unknown: int, steps: int, depth: int
) -> NodeBytes:
    made, within, remembered = (np.zeros(len(operations), np.int64) for _ in range(3))
    for number, operation in enumerate(operations):
        made[number] = _clipped(sum(_size(each, unknown) for each in operation.outputs))
        if operation.type in _COPYING:
            within[number] = made[number]
        for name in _calls(operation) if depth < _DEEPEST else ():
            inner = _inside(library[name], operation)
            memory = NodeMemory(nodes_of(inner))
            # Inside of a function, a size that is not known is that of the batch.
            nbytes = _bytes_of(inner.get_operations(), library, 1, steps, depth + 1)
            ends = {each.op.name for each in inner.outputs}
            within[number] = max(within[number], memory.peak(ends, nbytes))
            times = steps if operation.type in _LOOPS else 1
            remembered[number] = _clipped(times * memory.total(ends, nbytes))
    return NodeBytes(made, within, remembered)


def _inside(function: Any, operation: Any) -> Any:
    """A function that an operation calls, as a graph with the shapes of its arguments."""
    arguments = list(operation.inputs)
    if operation.type in _BRANCHES:
        arguments = arguments[1:]
    with operation.graph.as_default():
        return function_def_to_graph(function, input_shapes=[each.shape for each in arguments])


def _calls(operation: Any) -> list[str]:
    attributes = operation.node_def.attr
    return [
        attributes[key].func.name
        for key in ("body", "then_branch", "else_branch", "f")
        if key in attributes and attributes[key].func.name
    ]


def _size(tensor: Any, unknown: int) -> int:
    if tensor.shape.rank is None or tensor.dtype.name in {"resource", "variant", "string"}:
        return 0
    known = [side for side in tensor.shape.as_list() if side is not None]
    # Of several sides that are not known, all but one are the batch axis, which has one image.
    times = unknown if len(known) < tensor.shape.rank else 1
    return int(prod(known) * times * tensor.dtype.size)


def _clipped(size: int) -> int:
    """A size as a 64-bit number, of which some can be added."""
    return min(size, 2**56)
