"""Python code behind a graph: operations that call functions of the process that traced the model, and no other has."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from layerscope.errors import ModelRefused
from layerscope.graph.analysis.subgraph import needed_nodes
from layerscope.graph.taps.addresses import encode_path
from layerscope.graph.taps.tap import LayerCall

_PYTHON = frozenset({"EagerPyFunc", "PyFunc", "PyFuncStateless"})
"""The operations of `tf.py_function` and `tf.numpy_function`."""


def require_no_python(graph_def: Any, calls: Sequence[LayerCall]) -> None:
    """Check that no value of a layer is computed by Python code.

    Args:
        graph_def: a traced graph.
        calls: of its layers, in the order in which they return.

    Raises:
        ModelRefused: one is, by whatever operation or function that it needs.
    """
    functions = {each.signature.name: each.node_def for each in graph_def.library.function}
    nodes = {node.name: node for node in graph_def.node}
    python = {node.name for node in _running_python(graph_def.node, functions)}
    known: list[str] = []
    for call in calls if python else ():
        tensors = [tensor.name for found in call.tensors.values() for tensor in found]
        if not python.isdisjoint(needed_nodes(nodes, tensors, known)):
            layer = encode_path(call.path)
            raise ModelRefused(
                f"Layer {layer!r} computes with Python code, tf.py_function or tf.numpy_function, which no graph can hold: write it"
                " with operations of TensorFlow or Keras, and save the model again.",
                layer=layer,
            )
        known += tensors


def _running_python(nodes: Iterable[Any], functions: Mapping[str, Sequence[Any]]) -> Iterator[Any]:
    """The nodes that are such operations, or call functions that have some."""
    for node in nodes:
        inside = (part for name in _called(node, functions) for part in functions[name])
        if node.op in _PYTHON or any(_running_python(inside, functions)):
            yield node


def _called(node: Any, functions: Mapping[str, Any]) -> list[str]:
    values = node.attr.values()
    names = [node.op, *(each.func.name for each in values)]
    names += [function.name for each in values for function in each.list.func]
    return [name for name in names if name in functions]
