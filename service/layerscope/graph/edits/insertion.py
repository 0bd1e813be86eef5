"""Insertion of edits into a GraphDef.

For each edited tensor T, the nodes `edit/<n>/…` compute clip(T * scale + shift, low, high), and every reader of T reads
their result instead. Scale, shift, low and high are placeholders. The product is `MulNoNan`, which is 0 where the scale is
0: a plain product keeps infinities and NaN, so that a channel that has them could not be replaced.

An edit in the graph, not a value that is fed in place of T, because a fed value must be known before the run: where one
edited tap depends on another, it would hide what the first edit changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import tensorflow as tf

from layerscope.graph.edits.edit import Edit

_SCOPE = "layerscope/edit"
_OPERANDS = tuple(each.name for each in fields(Edit))


def placeholders_of(edited: Sequence[str]) -> tuple[str, ...]:
    """The names of the placeholders of edits, four an edited tensor, in the order of `Edit.arrays`."""
    return tuple(f"{_SCOPE}/{number}/{name}:0" for number in range(len(edited)) for name in _OPERANDS)


def edited_names(edited: Sequence[str]) -> dict[str, str]:
    """What readers of each edited tensor read instead, by the name of the tensor."""
    return {tensor: f"{_SCOPE}/{number}/edited:0" for number, tensor in enumerate(edited)}


def insert_edits(definition: Any, dtypes: Mapping[str, str]) -> None:
    """Write edits into a GraphDef.

    Args:
        definition: the GraphDef, which is changed.
        dtypes: of the tensors to edit, by name.
    """
    replaced = edited_names(tuple(dtypes))
    # A node names the first result of another with or without its number.
    replaced |= {name.removesuffix(":0"): new for name, new in replaced.items() if name.endswith(":0")}
    for node in definition.node:
        for place, read in enumerate(node.input):
            node.input[place] = replaced.get(read, read)
    with tf.Graph().as_default() as graph:
        values = [_edited(number, dtype) for number, dtype in enumerate(dtypes.values())]
    nodes = {node.name: node for node in graph.as_graph_def().node}
    for value, tensor in zip(values, dtypes, strict=True):
        stand_in = nodes.pop(value.op.name)
        for node in nodes.values():
            for place, read in enumerate(node.input):
                if read == stand_in.name:
                    node.input[place] = tensor
    definition.node.extend(nodes.values())


def _edited(number: int, dtype: str) -> Any:
    """Add the nodes of one edit to the default graph; the placeholder that stands for the edited tensor."""
    with tf.name_scope(f"{_SCOPE}/{number}/"):
        scale, shift, low, high = (tf.compat.v1.placeholder(dtype, name=name) for name in _OPERANDS)
        value = tf.compat.v1.placeholder(dtype, name="value")
        product = tf.raw_ops.MulNoNan(x=value, y=scale)
        bounded = tf.maximum(product + shift, low)
        tf.minimum(bounded, high, name="edited")
    return value
