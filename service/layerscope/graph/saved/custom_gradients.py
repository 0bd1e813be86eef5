"""Custom gradients of a SavedModel: functions of its library, put into the nodes of the flat graph that they belong to.

TensorFlow saves the gradient of `tf.custom_gradient` as a function, by the name that its node bears, and among the objects
what that function is called with besides the gradients that come to it. See `layerscope.graph.analysis.custom_gradients` for
the form in the nodes. A gradient that was not saved, or reads what is nowhere in the graph, leaves its node with a
name that nobody knows: then it is said that this gradient is missing.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from layerscope.graph.analysis.custom_gradients import (
    CAPTURED,
    REGISTERED,
    define_gradient,
    gradient_name,
    result_name,
)
from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.saved.checkpoint import SavedVariable
from layerscope.graph.saved.flattening import FlatGraph, flatten, functions_needed

_CAPTURE = "captured"


class SavedGradients:
    """The gradients that a SavedModel has of its own.

    Args:
        meta_graph: with the library of functions and the objects.
        flat: its flat graph, to which variables are added that only gradients read.
        saved: the variables, by the name of their node.
    """

    def __init__(self, meta_graph: Any, flat: FlatGraph, saved: Mapping[str, SavedVariable]) -> None:
        self._meta_graph = meta_graph
        self._flat = flat
        self._objects = meta_graph.object_graph_def
        self._functions = {
            each.registered_op_type: each.gradient_func
            for each in meta_graph.graph_def.library.registered_gradients
        }
        self._variables = {variable.key: name for name, variable in saved.items()}
        self._keys = _checkpoint_keys(self._objects) if self._functions else {}

    def define(self, nodes: Iterable[Any]) -> list[str]:
        """Put the gradients that were saved into their nodes, and return the tensors that they read."""
        read = []
        for node in nodes:
            function = (
                self._functions.get(node.attr[REGISTERED].s.decode()) if REGISTERED in node.attr else None
            )
            names = self._captured(node, function) if function is not None else None
            if function is not None and names is not None:
                define_gradient(node, _definition(self._meta_graph, function, names))
                read += names
        return read

    def _captured(self, node: Any, function: str) -> list[str] | None:
        """What a gradient is called with besides gradients, by name in the flat graph; None if one of it is not there."""
        names = [
            self._name(node, number) for number in self._objects.concrete_functions[function].bound_inputs
        ]
        return [name for name in names if name is not None] if None not in names else None

    def _name(self, node: Any, number: int) -> str | None:
        bound = self._objects.nodes[number]
        if bound.WhichOneof("kind") == "variable":
            name = self._variables.get(self._keys.get(number, ""))
            if name is not None and name not in self._flat.nodes:
                self._flat.nodes[name] = next(
                    each for each in self._meta_graph.graph_def.node if each.name == name
                )
            return None if name is None else f"{name}:0"
        if bound.WhichOneof("kind") != "captured_tensor":
            return None
        caller = self._flat.callers[node.name]
        while caller and self._flat.functions[caller] != bound.captured_tensor.concrete_function:
            caller = self._flat.callers[caller]
        name = self._flat.resolved(f"{caller}/{bound.captured_tensor.name}")
        return name if node_of(name) in self._flat.nodes else None


def _checkpoint_keys(objects: Any) -> dict[int, str]:
    """The key in the checkpoint of each object, if it is a variable: the shortest way to it from the model, by names."""
    paths = {0: ""}
    waiting = deque([0])
    while waiting:
        number = waiting.popleft()
        for child in objects.nodes[number].children:
            if child.node_id not in paths:
                escaped = child.local_name.replace(".", "..").replace("/", ".S")
                paths[child.node_id] = f"{paths[number]}{escaped}/"
                waiting.append(child.node_id)
    return {number: f"{path}.ATTRIBUTES/VARIABLE_VALUE" for number, path in paths.items()}


def _definition(meta_graph: Any, function: str, names: Sequence[str]) -> Any:
    """The GraphDef of the gradient that a function computes of the gradients of results and of the tensors with some names."""
    library = meta_graph.graph_def.library
    signature = next(each.signature for each in library.function if each.signature.name == function)
    given = len(signature.input_arg) - len(names)
    graph_def = tf.compat.v1.GraphDef(versions=meta_graph.graph_def.versions, library=library)
    call = tf.compat.v1.NodeDef(name="call", op="PartitionedCall")
    call.attr["f"].func.name = function
    for number, argument in enumerate(signature.input_arg):
        name = gradient_name(number) if number < given else f"{_CAPTURE}_{number - given}"
        placeholder = graph_def.node.add(name=name, op="Placeholder")
        placeholder.attr["dtype"].type = argument.type
        if number >= given:
            placeholder.attr[CAPTURED].s = names[number - given].encode()
        call.input.append(name)
    graph_def.node.append(call)
    results = []
    for number, place in enumerate(_places(meta_graph.object_graph_def.concrete_functions[function])):
        result = graph_def.node.add(name=result_name(place), op="Identity", input=[f"call:{number}"])
        result.attr["T"].type = signature.output_arg[number].type
        results.append(result.name)
    flat = flatten(graph_def, results)
    nodes = flat.needed(f"{name}:0" for name in results)
    definition = tf.compat.v1.GraphDef(versions=graph_def.versions, node=nodes)
    definition.library.function.extend(functions_needed(library, nodes))
    return definition


def _places(function: Any) -> list[int]:
    """The numbers of the inputs of the node whose gradients a function gives: it gives none for the others."""
    signature = function.output_signature
    values = (signature.list_value if signature.HasField("list_value") else signature.tuple_value).values
    return [number for number, value in enumerate(values) if value.WhichOneof("kind") != "none_value"]
