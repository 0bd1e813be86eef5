"""Operations of a graph as plain data: what the rules of receptive fields need to know of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import tensorflow as tf
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

Sizes = tuple[int, ...]
Known = TypeVar("Known")

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_LARGEST_CONSTANT = 4_096
_WHOLE_NUMBERS = frozenset({tf.int32, tf.int64})


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, in a run of one image of a certain size.

    Attributes:
        kind: its type in TensorFlow.
        sources: the names of the tensors it takes.
        takes: their shapes; None where only a run can tell.
        gives: the shapes of its outputs.
        constants: for each source, its value if it is few whole numbers that follow from the graph and the sizes.
        settings: its attributes.
        body: what a call of a function computes.
    """

    kind: str
    sources: tuple[str, ...]
    takes: tuple[Sizes | None, ...]
    gives: tuple[Sizes | None, ...]
    constants: tuple[Any, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    body: "Operations | None" = None

    def taken(self, number: int) -> Sizes:
        """The shape of a source.

        Raises:
            Unclear: only a run can tell.
        """
        return _clear(self.takes[number])

    def given(self, number: int) -> Sizes:
        """The shape of an output.

        Raises:
            Unclear: only a run can tell.
        """
        return _clear(self.gives[number])

    def constant(self, number: int) -> Any:
        """The value of a source.

        Raises:
            Unclear: it depends on the image, or is none of whole numbers.
        """
        return _clear(self.constants[number])


class Unclear(Exception):
    """A shape or a value that a rule needs is not known before a run."""


def _clear(value: Known | None) -> Known:
    if value is None:
        raise Unclear
    return value


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations of a graph by name, in topological order, with the tensors where values enter and leave."""

    by_name: dict[str, Operation]
    entrances: tuple[str, ...]
    exits: tuple[str, ...] = ()


def read_operations(graph: Any, entrances: Iterable[Any], exits: Iterable[Any] = ()) -> Operations:
    """Read a graph that is the default one; `entrances` are the tensors that values go in by, `exits` those behind."""
    return Operations(
        by_name={each.name: _operation(each) for each in graph.get_operations()},
        entrances=tuple(tensor.name for tensor in entrances),
        exits=tuple(tensor.name for tensor in exits),
    )


def _operation(source: Any) -> Operation:
    return Operation(
        kind=source.type,
        sources=tuple(tensor.name for tensor in source.inputs),
        takes=tuple(map(_sizes, source.inputs)),
        gives=tuple(map(_sizes, source.outputs)),
        constants=tuple(map(_constant, source.inputs)),
        settings={name: _plain(value) for name, value in source.node_def.attr.items()},
        body=_body(source) if source.type in _CALLS else None,
    )


def _body(call: Any) -> Operations | None:
    """What a function computes from inputs of these sizes; None if TensorFlow cannot tell."""
    name = call.node_def.attr["f"].func.name
    functions = {each.signature.name: each for each in call.graph.as_graph_def().library.function}
    try:
        definition = _without_variables(functions[name])
        graph = function_def_to_graph(definition, input_shapes=list(map(_shape_of_value, call.inputs)))
    except (LookupError, ValueError):
        return None
    with graph.as_default():
        return read_operations(graph, graph.inputs, graph.outputs)


def _without_variables(function: Any) -> Any:
    """The function with values in place of variables: TensorFlow does not infer shapes of variables in a function."""
    copy = type(function)()
    copy.CopyFrom(function)
    copy.arg_attr.clear()  # Shapes of a batch of any size, which would count more than those given.
    reads = {node.input[0]: node for node in copy.node_def if node.op == "ReadVariableOp"}
    for argument in copy.signature.input_arg:
        if argument.name in reads:
            argument.type = reads[argument.name].attr["dtype"].type
    read = {f"{node.name}:value:0": argument for argument, node in reads.items()}
    for node in copy.node_def:
        if node.op == "ReadVariableOp":
            node.op = "Identity"
            node.attr["T"].type = node.attr["dtype"].type
            del node.attr["dtype"]
        for number, source in enumerate(node.input):
            node.input[number] = read.get(source, source)
    return copy


def _shape_of_value(tensor: Any) -> Any:
    if tensor.op.type != "VarHandleOp":
        return tensor.shape
    return tf.TensorShape(tensor.op.node_def.attr["shape"].shape)


def _sizes(tensor: Any) -> Sizes | None:
    return tuple(tensor.shape.as_list()) if tensor.shape.is_fully_defined() else None


def _constant(tensor: Any) -> Any:
    elements = tensor.shape.num_elements()
    if tensor.dtype not in _WHOLE_NUMBERS or elements is None or elements > _LARGEST_CONSTANT:
        return None
    known = tf.get_static_value(tensor)
    return _folded(tensor) if known is None else known


def _folded(tensor: Any) -> Any:
    """The result of arithmetic on sizes, as in the padding of inputs of any size."""
    graph = tensor.graph
    with graph._c_graph.get() as handle:  # noqa: SLF001 - there is no public way to what shape inference knows
        return pywrap_tf_session.TF_TryEvaluateConstant_wrapper(handle, tensor._as_tf_output())  # noqa: SLF001


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "list":
        return [*value.list.i, *value.list.s]
    return getattr(value, kind) if kind in {"i", "f", "b", "s"} else None
