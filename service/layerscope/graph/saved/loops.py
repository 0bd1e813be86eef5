"""Loops and branches of a saved graph: changed to output the values that their gradients read, as in a new trace.

Where one does not, TensorFlow changes it as soon as somebody asks for a gradient, which it cannot do in use.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import tensorflow as tf

from layerscope.graph.analysis.subgraph import needed_nodes
from layerscope.graph.saved.flattening import functions_needed

_LOOPS_AND_BRANCHES = frozenset({"Case", "If", "StatelessCase", "StatelessIf", "StatelessWhile", "While"})


def with_intermediates(graph_def: Any) -> Any:
    """The same graph, in which every loop and branch can be differentiated as it is."""
    if not any(node.op in _LOOPS_AND_BRANCHES for node in graph_def.node):
        return graph_def
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        for operation in graph.get_operations():
            if operation.type in _LOOPS_AND_BRANCHES:
                _differentiate(operation)
    return _without_gradients(graph.as_graph_def(), [node.name for node in graph_def.node])


def _differentiate(operation: Any) -> None:
    """Which changes the operation."""
    # What has no gradient here has none later.
    with suppress(LookupError, TypeError, ValueError):
        tf.gradients(_floating(operation.outputs), _floating(operation.inputs))


def _floating(tensors: Iterable[Any]) -> list[Any]:
    return [tensor for tensor in tensors if tensor.dtype.is_floating]


def _without_gradients(graph_def: Any, names: Iterable[str]) -> Any:
    """The nodes of these names, and those that they read now."""
    nodes = {node.name: node for node in graph_def.node}
    found = needed_nodes(nodes, names)
    result = tf.compat.v1.GraphDef(
        versions=graph_def.versions, node=[node for node in nodes.values() if node.name in found]
    )
    result.library.function.extend(functions_needed(graph_def.library, result.node))
    return result
