"""Variables of a SavedModel: the values that its restoring operations would read, without running these.

So nothing but numbers is taken from the folder: no objects, no optimizer, no slots of one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from layerscope.errors import ModelRefused
from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.saved.flattening import FlatGraph, flatten

Array = np.ndarray[Any, np.dtype[Any]]

_ASSIGNMENTS = {"Assign", "AssignVariableOp"}


@dataclass(frozen=True)
class SavedVariable:
    """A variable in a checkpoint, whose values are read when they are needed.

    Attributes:
        prefix: the path that the names of the checkpoint's files begin with.
        key: its name in the checkpoint.
        part: which part of what is there under that name, in TensorFlow's notation; empty for all of it.
        dtype: of its values, as TensorFlow's type.
        shape: of its values, as TensorFlow's type.
    """

    prefix: str
    key: str
    part: str
    dtype: Any
    shape: Any

    @property
    def size(self) -> int:
        """How many numbers it is."""
        return int(self.shape.num_elements())

    def numpy(self) -> Array:
        """Its values.

        Raises:
            ModelRefused: they are not there, or damaged.
        """
        try:
            (values,) = tf.raw_ops.RestoreV2(
                prefix=self.prefix, tensor_names=[self.key], shape_and_slices=[self.part], dtypes=[self.dtype]
            )
        except tf.errors.OpError as error:
            raise _incomplete(type(error).__name__) from error
        result: Array = values.numpy()
        return result


def saved_variables(folder: Path, meta_graph: Any) -> dict[str, SavedVariable]:
    """Every variable that the SavedModel in `folder` restores, by the name of its node in the main graph.

    Raises:
        ModelRefused: its checkpoint is missing or damaged.
    """
    restoring = node_of(meta_graph.saver_def.restore_op_name)
    if not restoring:
        return {}
    prefix = str(folder / "variables" / "variables")
    try:
        shapes = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError) as error:
        raise _incomplete(type(error).__name__) from error
    flat = flatten(meta_graph.graph_def, [restoring])
    return {
        variable.name: SavedVariable(prefix, key, part, dtype, _shape(variable, shapes.get(key)))
        for variable, key, part, dtype in _assignments(flat)
    }


def _assignments(flat: FlatGraph) -> list[tuple[Any, str, str, Any]]:
    """The nodes of variables, and what of the checkpoint is assigned to each: key, part and dtype."""
    restored = {name: _restored(flat, node) for name, node in flat.nodes.items() if node.op == "RestoreV2"}
    result = []
    for node in flat.nodes.values():
        if node.op in _ASSIGNMENTS:
            variable, value = (_source(flat, tensor) for tensor in node.input[:2])
            name, _, number = value.partition(":")
            if name in restored:
                result.append((flat.nodes[node_of(variable)], *restored[name][int(number)]))
    return result


def _restored(flat: FlatGraph, node: Any) -> list[tuple[str, str, Any]]:
    keys, parts = (_strings(flat, tensor) for tensor in node.input[1:3])
    return list(zip(keys, parts, map(tf.as_dtype, node.attr["dtypes"].list.type), strict=True))


def _source(flat: FlatGraph, tensor: str) -> str:
    while flat.nodes[node_of(tensor)].op == "Identity":
        tensor = flat.nodes[node_of(tensor)].input[0]
    return tensor


def _strings(flat: FlatGraph, tensor: str) -> list[str]:
    value = tf.make_ndarray(flat.nodes[node_of(tensor)].attr["value"].tensor)
    return [text.decode() for text in value.reshape(-1)]


def _shape(variable: Any, saved: list[int] | None) -> Any:
    """As declared; a variable declared without a shape has that of what is saved."""
    declared = tf.TensorShape(variable.attr["shape"].shape)
    return declared if declared.is_fully_defined() else tf.TensorShape(saved)


def _incomplete(cause: str) -> ModelRefused:
    return ModelRefused(
        "The SavedModel's weights are missing or damaged: copy its whole folder again, with 'variables' in it.",
        cause=cause,
    )
