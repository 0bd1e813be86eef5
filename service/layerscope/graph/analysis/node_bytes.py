"""Bytes of the nodes of an imported graph, with those of the functions that its loops and branches call."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from layerscope.graph.analysis.inner_graphs import DEEPEST, LOOPS, InnerGraphs, nodes_of
from layerscope.graph.analysis.node_memory import NodeBytes, NodeMemory

_COPYING = frozenset({"TensorListStack"})
"""Operations that have their result twice for a moment: they collect it from parts."""


def bytes_of(operations: Sequence[Any], functions: InnerGraphs, longest: int) -> NodeBytes:
    """What operations take, whose shapes are those of one image.

    Args:
        operations: of a graph in which shapes were inferred, in the order of the result.
        functions: of that graph.
        longest: taken for sizes that only a run can tell, and for the number of steps of a loop.
    """
    return _bytes_of(operations, functions, longest, longest, 0)


def _bytes_of(
    operations: Sequence[Any], functions: InnerGraphs, unknown: int, steps: int, depth: int
) -> NodeBytes:
    made, within, remembered = (np.zeros(len(operations), np.int64) for _ in range(3))
    for number, operation in enumerate(operations):
        made[number] = _clipped(sum(_size(each, unknown) for each in operation.outputs))
        if operation.type in _COPYING:
            within[number] = made[number]
        for inner in functions.called_by(operation) if depth < DEEPEST else ():
            memory = NodeMemory(nodes_of(inner))
            # Inside of a function, a size that is not known is that of the batch.
            nbytes = _bytes_of(inner.get_operations(), functions, 1, steps, depth + 1)
            ends = {each.op.name for each in inner.outputs}
            within[number] = max(within[number], memory.peak(ends, nbytes))
            times = steps if operation.type in LOOPS else 1
            remembered[number] = _clipped(times * memory.total(ends, nbytes))
    return NodeBytes(made, within, remembered)


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
