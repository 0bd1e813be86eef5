"""The graph of a SavedModel made ready: flat, fed at its inputs, its variables known, its shapes inferred."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from layerscope.errors import ModelRefused
from layerscope.graph.saved_checkpoint import SavedVariable
from layerscope.graph.saved_functions import (
    FlatGraph,
    canonical,
    clear_foreign_attributes,
    flatten,
    functions_of,
    operation,
)
from layerscope.graph.saved_signature import SavedSignature
from layerscope.graph.taps import Input, Tensor

_LOOPS_OF_TENSORFLOW_1 = frozenset({"Enter", "Exit", "Merge", "NextIteration", "Switch"})
_VARIABLES_OF_TENSORFLOW_1 = frozenset({"Variable", "VariableV2"})


def serving_graph(meta_graph: Any, signature: SavedSignature) -> FlatGraph:
    """What computes the outputs of a signature, with a placeholder for each input.

    Fed tensors cannot be fetched: what reads an input reads the identity of the placeholder, see `entrance`.
    """
    replaced = {tensor: entrance(number) for number, tensor in enumerate(signature.entrances)}
    outputs = [operation(tensor) for _, tensor in signature.outputs]
    flat = flatten(meta_graph.graph_def, outputs, replaced)
    doors = [node for number, each in enumerate(signature.inputs) for node in _door(number, each)]
    nodes = {node.name: node for node in [*doors, *_with_variables_of_tensorflow_2(flat)]}
    return replace(flat, nodes=nodes)


def placeholder(number: int) -> str:
    """The name of the placeholder for an input."""
    return f"layerscope/input_{number}"


def entrance(number: int) -> str:
    """The tensor that is read in place of an input."""
    return f"{placeholder(number)}/entrance:0"


def variables_in(nodes: Iterable[Any], saved: Mapping[str, SavedVariable]) -> dict[str, SavedVariable]:
    """The variables among `nodes`, by name; the nodes get their shapes.

    Raises:
        ModelRefused: the checkpoint does not have one of them.
    """
    found = {}
    for node in nodes:
        if node.op == "VarHandleOp":
            name = node.name.removesuffix(_HANDLE)
            if name not in saved:
                raise ModelRefused(
                    f"The SavedModel has no values for its variable {name}: save it again where it was trained.",
                    variable=name,
                )
            node.attr["shape"].shape.CopyFrom(saved[name].shape.as_proto())
            found[node.name] = saved[name]
    return found


def require_servable(nodes: Iterable[Any]) -> None:
    """Check what the nodes do.

    Raises:
        ModelRefused: they look things up in tables, loop as TensorFlow 1 did, or want more than the inputs.
    """
    for node in nodes:
        if "Table" in node.op:
            raise ModelRefused(
                "The SavedModel looks something up in a table: export it without its lookup layers, and look up"
                " before the numbers are sent.",
                operation=node.name,
            )
        if node.op in _LOOPS_OF_TENSORFLOW_1:
            raise ModelRefused(
                "The SavedModel has branches or loops in the form of TensorFlow 1: load the model with Keras 3 where"
                " its code is, and save it with model.save('model.keras').",
                operation=node.name,
            )
        if node.op == "Placeholder" and not node.name.startswith(placeholder(0)[:-1]):
            raise ModelRefused(
                f"The SavedModel wants a value for {node.name}, which is no input of its signature: export it with a"
                " constant there.",
                operation=node.name,
            )


def imported(
    meta_graph: Any, nodes: Sequence[Any], shapes: Mapping[str, Any]
) -> tuple[Any, dict[str, Tensor]]:
    """The nodes as this TensorFlow writes them, as a GraphDef; and every tensor of theirs that can be delivered.

    Args:
        meta_graph: where they come from.
        nodes: the nodes.
        shapes: what else is known of shapes: Keras tells more than can be inferred.
    """
    graph_def = tf.compat.v1.GraphDef(versions=meta_graph.graph_def.versions, node=nodes)
    graph_def.library.function.extend(_functions_in(meta_graph.graph_def.library, nodes))
    with tf.Graph().as_default() as graph:
        producer = meta_graph.meta_info_def.stripped_op_list
        tf.import_graph_def(graph_def, name="", producer_op_list=producer if producer.op else None)
    made = [tensor for node in graph.get_operations() for tensor in node.outputs]
    described = {
        tensor.name: _described(tensor, shapes.get(tensor.name, tensor.shape))
        for tensor in made
        if _is_deliverable(tensor)
    }
    normal = graph.as_graph_def()
    for node in normal.node:
        inputs = [canonical(tensor) for tensor in node.input]
        node.ClearField("input")
        node.input.extend(inputs)
    return normal, described


def known_shapes(flat: FlatGraph, signature: SavedSignature) -> dict[str, Any]:
    """The shapes that were known when the graph was made; none if they were for one batch size only."""
    if signature.batch is not None:
        return {}
    result: dict[str, Any] = {}
    for tensor, shape in flat.shapes.items():
        name, known = flat.resolved(tensor), tf.TensorShape(shape)
        result[name] = _merged(result.get(name, known), known)
    return result


_HANDLE = "/layerscope_handle"


def _door(number: int, each: Input) -> tuple[Any, Any]:
    dtype = tf.as_dtype(each.dtype).as_datatype_enum
    outside = tf.compat.v1.NodeDef(name=placeholder(number), op="Placeholder")
    outside.attr["dtype"].type = dtype
    outside.attr["shape"].shape.CopyFrom(tf.TensorShape([None, *each.shape]).as_proto())
    inside = tf.compat.v1.NodeDef(
        name=operation(entrance(number)), op="Identity", input=[f"{outside.name}:0"]
    )
    inside.attr["T"].type = dtype
    return outside, inside


def _with_variables_of_tensorflow_2(flat: FlatGraph) -> Iterable[Any]:
    """TensorFlow 1 reads a variable without an operation that says so."""
    for node in flat.nodes.values():
        if node.op in _VARIABLES_OF_TENSORFLOW_1:
            handle = tf.compat.v1.NodeDef(name=node.name + _HANDLE, op="VarHandleOp")
            handle.attr["dtype"].CopyFrom(node.attr["dtype"])
            yield handle
            reading = tf.compat.v1.NodeDef(name=node.name, op="ReadVariableOp", input=[f"{handle.name}:0"])
            reading.attr["dtype"].CopyFrom(node.attr["dtype"])
            yield reading
        else:
            yield node


def _functions_in(library: Any, nodes: Iterable[Any]) -> list[Any]:
    """The functions that loops and branches run, and those that these run."""
    known = {function.signature.name: function for function in library.function}
    found: dict[str, Any] = {}
    waiting = list(nodes)
    while waiting:
        for name in functions_of(waiting.pop()):
            if name and name not in found:
                found[name] = function = type(known[name])()
                function.CopyFrom(known[name])
                for node in function.node_def:
                    clear_foreign_attributes(node)
                waiting.extend(function.node_def)
    return list(found.values())


def _described(tensor: Any, known: Any) -> Tensor:
    shape = tuple(_merged(tensor.shape, known).as_list())
    batched = bool(shape) and shape[0] is None
    return Tensor(tensor.name, shape[1:] if batched else shape, tensor.dtype.name, batched)


def _merged(shape: Any, other: Any) -> Any:
    return shape.merge_with(other) if shape.is_compatible_with(other) else shape


def _is_deliverable(tensor: Any) -> bool:
    """Whether it is of real numbers and known rank."""
    is_real = tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool
    return bool(is_real and tensor.shape.rank is not None)
