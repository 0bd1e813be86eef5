"""Inner graphs: the functions that the loops, branches and calls of an imported graph run, as graphs with inferred shapes."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

BRANCHES = frozenset({"Case", "If", "StatelessCase", "StatelessIf"})
"""Operations that run one of their functions, chosen by their first input."""

LOOPS = frozenset({"StatelessWhile", "While"})

DEEPEST = 4
"""How deeply functions are followed into each other."""


class InnerGraphs:
    """The functions that the operations of one imported graph call. Each is imported once.

    Args:
        graph: a `tf.Graph`, in which shapes were inferred.
    """

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._known: dict[tuple[Any, str], Any] = {}
        self._calling: dict[str, bool] = {}

    def called_by(self, operation: Any) -> list[Any]:
        """What an operation runs: the body of a loop, all branches, or the function that is called."""
        if not self._may_call(operation):
            return []
        attributes = operation.node_def.attr
        names = [attributes[key].func.name for key in ("body", "then_branch", "else_branch", "f")]
        names += [each.name for each in attributes["branches"].list.func]
        return [self._imported(operation, name) for name in names if name]

    def condition_of(self, loop: Any) -> Any:
        """What a loop runs before each step."""
        return self._imported(loop, loop.node_def.attr["cond"].func.name)

    def _may_call(self, operation: Any) -> bool:
        """Whether operations of this type call functions. To read the attributes of one copies them, also large constants."""
        if operation.type not in self._calling:
            kinds = {each.type for each in operation.op_def.attr}
            self._calling[operation.type] = bool(kinds & {"func", "list(func)"})
        return self._calling[operation.type]

    def _imported(self, operation: Any, name: str) -> Any:
        if (operation, name) not in self._known:
            arguments = arguments_of(operation)
            function = _specialized(self._library[name], arguments)
            with operation.graph.as_default():
                inner = function_def_to_graph(function, input_shapes=[each.shape for each in arguments])
            self._known[operation, name] = inner
        return self._known[operation, name]

    @cached_property
    def _library(self) -> dict[str, Any]:
        return {each.signature.name: each for each in self._graph.as_graph_def().library.function}


def arguments_of(operation: Any) -> Sequence[Any]:
    """The tensors that an operation gives to the functions that it calls."""
    return list(operation.inputs)[1:] if operation.type in BRANCHES else list(operation.inputs)


def source_of(tensor: Any) -> Any:
    """The tensor that a tensor is a copy of."""
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def constant_in(nodes: Any, name: str, values: Sequence[int]) -> str:
    """Add a constant to the nodes of a graph or function, and return its name."""
    node = nodes.add(name=name, op="Const")
    node.attr["dtype"].type = tf.int32.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values, tf.int32, [len(values)]))
    return str(node.name)


def keeps_shapes(body: Any) -> bool:
    """Whether each step of a loop gives the next one values of the same shapes as it got itself, but for a free batch size."""
    return all(
        given.dtype.name in {"resource", "variant"} or _is_kept(given.shape, result.shape)
        for given, result in zip(body.inputs, body.outputs, strict=True)
    )


def _is_kept(given: Any, result: Any) -> bool:
    if given.rank is None or given.rank != result.rank:
        return bool(given.rank == result.rank)
    sides = zip(given.as_list(), result.as_list(), strict=True)
    return all(before == after or (after is None and axis == 0) for axis, (before, after) in enumerate(sides))


def _specialized(function: Any, arguments: Sequence[Any]) -> Any:
    """A function that reads variables and lists of the shapes of those that it is given: an argument does not tell them."""
    changed = type(function)()
    changed.CopyFrom(function)
    # These have the shapes with a free batch size, which would count more than those that are given.
    changed.arg_attr.clear()
    handles, elements = {}, {}
    for given, tensor in zip(function.signature.input_arg, arguments, strict=True):
        origin = source_of(tensor).op
        if origin.type == "VarHandleOp":
            handle = changed.node_def.add(name=f"{given.name}/variable", op=origin.type)
            for name in ("dtype", "shape"):
                handle.attr[name].CopyFrom(origin.node_def.attr[name])
            handles[given.name] = f"{handle.name}:resource:0"
        elif origin.type == "TensorListFromTensor" and origin.inputs[0].shape[1:].is_fully_defined():
            element = origin.inputs[0].shape[1:].as_list()
            elements[given.name] = (
                f"{constant_in(changed.node_def, f'{given.name}/element', element)}:output:0"
            )
    for node in changed.node_def:
        if node.op == "TensorListGetItem" and node.input[0] in elements:
            node.input[2] = elements[node.input[0]]
        for number, name in enumerate(node.input):
            node.input[number] = handles.get(name, name)
    return changed


def nodes_of(graph: Any) -> list[tuple[str, str, list[str]]]:
    """Name, operation and data inputs of the nodes of a `tf.Graph`, in the order in which they were made."""
    return [(each.name, each.type, [read.op.name for read in each.inputs]) for each in graph.get_operations()]
