"""The served part of the graph of a SavedModel: flat, with placeholders for inputs, and with known variables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from layerscope.errors import ModelRefused
from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.prepared.devices import has_gpu
from layerscope.graph.saved.checkpoint import SavedVariable
from layerscope.graph.saved.custom_gradients import SavedGradients
from layerscope.graph.saved.flattening import (
    FlatGraph,
    flatten,
)
from layerscope.graph.saved.signature import SavedSignature
from layerscope.graph.taps.tap import Input

_HANDLE = "/layerscope_handle"
_CUDNN = frozenset({"CudnnRNN", "CudnnRNNV2", "CudnnRNNV3"})
_LOOPS_OF_TENSORFLOW_1 = frozenset({"Enter", "Exit", "Merge", "NextIteration", "Switch"})
_VARIABLES_OF_TENSORFLOW_1 = frozenset({"Variable", "VariableV2"})


@dataclass(frozen=True)
class ServingGraph:
    """What computes the outputs of a signature, with a placeholder for each input.

    Attributes:
        flat: all nodes that there were, without function calls.
        nodes: those that are needed, each after those it reads.
        entrances: the tensors that are read in place of the inputs: fed tensors cannot be fetched.
        results: the tensors of the outputs.
    """

    flat: FlatGraph
    nodes: list[Any]
    entrances: list[str]
    results: list[str]


def serving_graph(
    meta_graph: Any, signature: SavedSignature, saved: Mapping[str, SavedVariable]
) -> ServingGraph:
    """Extract the part of a graph that a signature needs, and what the gradients read that the model defines itself.

    Raises:
        ModelRefused: it looks things up in tables, loops as TensorFlow 1 did, wants a GPU that is not there, or more than the
            inputs.
    """
    entrances = [_entrance(number) for number in range(len(signature.inputs))]
    replaced = dict(zip(signature.entrances, entrances, strict=True))
    outputs = [node_of(tensor) for _, tensor in signature.outputs]
    flat = flatten(meta_graph.graph_def, outputs, replaced)
    doors = [node for number, each in enumerate(signature.inputs) for node in _door(number, each)]
    nodes = {node.name: node for node in [*doors, *_with_variables_of_tensorflow_2(flat)]}
    flat = replace(flat, nodes=nodes)
    results = [flat.resolved(tensor) for _, tensor in signature.outputs]
    gradients_read = SavedGradients(meta_graph, flat, saved).define(flat.needed(results))
    needed = flat.needed([*entrances, *results, *gradients_read])
    _require_servable(needed)
    return ServingGraph(flat, needed, entrances, results)


def placeholder(number: int) -> str:
    """The name of the placeholder for an input."""
    return f"layerscope/input_{number}"


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


def _require_servable(nodes: Iterable[Any]) -> None:
    for node in nodes:
        if "Table" in node.op:
            raise ModelRefused(
                "The SavedModel looks something up in a table: export it without its lookup layers, and look up"
                " before the numbers are sent.",
                operation=node.name,
            )
        if node.op in _CUDNN and not has_gpu():
            raise ModelRefused(
                "The SavedModel has a CuDNNLSTM or CuDNNGRU, which only a GPU runs: save the model with Keras 2 as model.h5, where"
                " it is opened as the LSTM or GRU that computes the same everywhere.",
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


def _entrance(number: int) -> str:
    return f"{placeholder(number)}/entrance:0"


def _door(number: int, each: Input) -> tuple[Any, Any]:
    dtype = tf.as_dtype(each.dtype).as_datatype_enum
    outside = tf.compat.v1.NodeDef(name=placeholder(number), op="Placeholder")
    outside.attr["dtype"].type = dtype
    outside.attr["shape"].shape.CopyFrom(tf.TensorShape([None, *each.shape]).as_proto())
    inside = tf.compat.v1.NodeDef(name=node_of(_entrance(number)), op="Identity", input=[f"{outside.name}:0"])
    inside.attr["T"].type = dtype
    return outside, inside


def _with_variables_of_tensorflow_2(flat: FlatGraph) -> Iterable[Any]:
    """Add the operation that reads a variable: graphs of TensorFlow 1 have none."""
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
