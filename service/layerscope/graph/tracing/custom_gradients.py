"""Custom gradients of a traced model: their operations are traced beside the model and put into its graph.

See `layerscope.graph.rewrites.custom_gradients` for the form. A gradient is traced where it was registered, in the process
that opens the model.

The gradient that TensorFlow defines for SiLU (swish) only saves memory: it is the derivative of the operations inside. There
are up to a hundred of them in a network, each of which takes 6 ms to trace, so that one is left out.
"""

import inspect
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.framework.func_graph import FuncGraph

from layerscope.graph.analysis.custom_gradients import (
    CAPTURED,
    REGISTERED,
    define_gradient,
    gradient_name,
    result_name,
)
from layerscope.graph.analysis.subgraph import needed_nodes, node_of

logger = logging.getLogger(__name__)

_OF_SILU = ("tensorflow.python.ops.nn_impl", "swish.<locals>.swish_impl.<locals>.grad")
"""Module and name of the gradient of `tf.nn.silu`."""


@dataclass(frozen=True)
class _Place:
    """A graph whose operations have gradients: that of the model, or of a function that its loops and branches run.

    Attributes:
        graph: the graph.
        arguments: the names that a function's own arguments have in its definition; None in the model's graph.
    """

    graph: Any
    arguments: Mapping[str, str] | None


Gradients = Mapping[tuple[str, str], Any]
"""See `trace_custom_gradients`."""


def trace_custom_gradients(graph: Any) -> Gradients:
    """Trace the gradients that a model defines itself.

    Args:
        graph: the traced graph. It captures what gradients read besides its own tensors.

    Returns:
        The GraphDef of each gradient, by the names of the function and of the node; "" is the model's own graph. None where
        the operations before the node are to be differentiated.
    """
    found = {}
    for function, place in _places(graph):
        for operation in place.graph.get_operations():
            if REGISTERED in operation.node_def.attr:
                name = operation.node_def.attr[REGISTERED].s.decode()
                # A gradient is code of the model, and raises what it likes.
                try:
                    found[function, operation.name] = _traced(operation, name, place)
                except Exception as error:
                    logger.warning("the custom gradient of %s cannot be traced: %s", operation.name, error)
    return found


def with_custom_gradients(graph_def: Any, gradients: Gradients) -> Any:
    """Put gradients into the nodes of a graph, and of its functions. Arguments are those of `trace_custom_gradients`."""
    functions = {function.signature.name: function.node_def for function in graph_def.library.function}
    for name, nodes in {"": graph_def.node, **functions}.items():
        for node in nodes:
            if (name, node.name) in gradients:
                define_gradient(node, gradients[name, node.name])
    return graph_def


def _places(graph: Any) -> Iterator[tuple[str, _Place]]:
    yield "", _Place(graph, None)
    for name, function in graph._functions.items():  # noqa: SLF001 - no public way leads from a graph to its functions
        inner = getattr(function, "graph", None)
        if inner is not None:
            declared = [each.name for each in function.cached_definition.signature.input_arg]
            own = [tensor.name for tensor in inner.inputs]
            yield (
                name,
                _Place(inner, {tensor: f"{each}:0" for tensor, each in zip(own, declared, strict=True)}),
            )


def _traced(operation: Any, name: str, place: _Place) -> Any:
    """The GraphDef of the gradient of an operation that was registered with a name; None if it is TensorFlow's of SiLU."""
    registered = ops.gradient_registry.lookup(name)
    if _is_of_silu(registered):
        return None
    with place.graph.as_default():
        traced = FuncGraph("custom_gradient")
    with traced.as_default():
        given = [
            tf.compat.v1.placeholder(result.dtype, result.shape, gradient_name(number))
            for number, result in enumerate(operation.outputs)
        ]
        results = {
            result_name(number): tf.convert_to_tensor(gradient)
            for number, gradient in enumerate(registered(operation, *given))
            if gradient is not None
        }
        for name, gradient in results.items():
            tf.identity(gradient, name)
    names = {node_of(inner.name): _captured(outer, place) for outer, inner in traced.captures}
    return _definition(traced, results, names)


def _is_of_silu(registered: Any) -> bool:
    """Whether a registered gradient is the one that `tf.nn.silu` defines, by what it closes over."""
    function = registered
    for name in ("tape_grad_fn", "grad_fn"):
        function = inspect.getclosurevars(function).nonlocals.get(name)
        if function is None:
            return False
    return (function.__module__, function.__qualname__) == _OF_SILU


def _captured(tensor: Any, place: _Place) -> str:
    """The name that a tensor, which a gradient reads, has in the graph of its operation."""
    graph, arguments = place.graph, place.arguments
    if not hasattr(tensor, "graph") or tensor.graph is not graph:
        captured = {outer.ref(): inner for outer, inner in graph.captures}
        if arguments is not None or tensor.ref() in captured:
            tensor = captured[tensor.ref()]
        else:
            tensor = graph.capture(tensor)
            # Whose placeholder it is shows only among the variables of the graph.
            graph.variables = list(graph._watched_variables)  # noqa: SLF001
    return (arguments or {}).get(tensor.name, tensor.name)


def _definition(traced: Any, results: Mapping[str, Any], captured: Mapping[str, str]) -> Any:
    definition = traced.as_graph_def()
    for node in definition.node:
        # Control inputs order side effects, of which a gradient has none.
        inputs = [name for name in node.input if not name.startswith("^")]
        node.ClearField("input")
        node.input.extend(inputs)
    needed = needed_nodes({node.name: node for node in definition.node}, results)
    kept = [node for node in definition.node if node.name in needed]
    for node in kept:
        if node.name in captured:
            node.attr[CAPTURED].s = captured[node.name].encode()
    return tf.compat.v1.GraphDef(versions=definition.versions, library=definition.library, node=kept)
