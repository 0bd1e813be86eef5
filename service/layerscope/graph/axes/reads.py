"""Maps of tokens that no output is computed from, as behind the last attention of a classifier that reads its class token.

Followed backwards from the outputs. A tensor of which only other tokens than those of its map are read passes that on to what
it is computed from token by token. Where tokens are mixed, as in attention by keys and values, all are read.
"""

from collections.abc import Iterable, Iterator, Sequence

from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.axes.dimension import Dimensions
from layerscope.graph.axes.graph import full_name
from layerscope.graph.axes.places import leaves_out_map
from layerscope.graph.axes.products import letters_of
from layerscope.graph.axes.rules import COMBINING, PASSING
from layerscope.graph.axes.step import Step, Unclear

_CUTTING = frozenset({"Gather", "GatherV2", "Slice", "StridedSlice"})
_BY_TOKEN = (
    PASSING | COMBINING | {"ConcatV2", "ExpandDims", "Mean", "Pack", "Pad", "Reshape", "Squeeze", "Transpose"}
) - {*("Cumprod", "Cumsum", "LogSoftmax", "ReverseV2", "Roll", "Softmax")}
"""Operations that give a token a value from that token of their inputs alone, if they leave the axis of tokens."""

_OVER_LAST = frozenset({"LogSoftmax", "Softmax"})
_PRODUCTS = frozenset({"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "MatMul"})


def maps_read(steps: Sequence[Step], outputs: Iterable[str]) -> set[str]:
    """The tensors of which an output is computed from more than the tokens beside a map.

    Args:
        steps: all operations, each behind those that it reads.
        outputs: of the model.
    """
    found = set(map(full_name, outputs))
    nodes = dict.fromkeys(map(node_of, found), True)
    for step in reversed(steps):
        is_read = nodes.get(step.node.name)
        if is_read is None:
            continue
        for number, (tensor, own) in enumerate(zip(step.sources, step.read, strict=True)):
            if own is None:
                continue
            whole = _reads_map(step, number, own, is_read=is_read)
            nodes[node_of(tensor)] = nodes.get(node_of(tensor), False) or whole
            if whole:
                found.add(tensor)
    return found


def _reads_map(step: Step, number: int, own: Dimensions, *, is_read: bool) -> bool:
    """Whether an operation reads more of an input than tokens beside its map.

    Args:
        step: the operation.
        number: of the input.
        own: the axes of the input.
        is_read: whether more is read of the output.
    """
    try:
        if step.op in _CUTTING and number == 0 and leaves_out_map(step):
            return False
        return is_read or _mixes(step, number, own)
    except Unclear:
        return True


def _mixes(step: Step, number: int, own: Dimensions) -> bool:
    """Whether a token of the output is computed from other tokens of an input."""
    axes = list(_axes_of_maps(own))
    if step.op in _BY_TOKEN:
        return step.op == "Mean" and any(axis % len(own) in axes for axis in step.numbers(1))
    if step.op in _OVER_LAST:
        # Of two axes of tokens, as in attention, the first is that of the tokens that get values.
        return axes == [len(own) - 1]
    if step.op in _PRODUCTS:
        return number != 0
    if step.op == "Einsum":
        operands, result = letters_of(step)
        kept = next(
            (letter for letter in result if letter in {operands[number][axis] for axis in axes}), None
        )
        others = (
            letter
            for operand, dimensions in zip(operands, step.read, strict=True)
            for axis in _axes_of_maps(dimensions or ())
            for letter in operand[axis]
        )
        first = min((result.index(letter) for letter in others if letter in result), default=None)
        return kept is None or result.index(kept) != first
    return True


def _axes_of_maps(own: Dimensions) -> Iterator[int]:
    return (axis for axis, each in enumerate(own) if each.grid is not None)
