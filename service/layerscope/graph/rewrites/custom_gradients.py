"""Custom gradients, see `layerscope.graph.analysis.custom_gradients`: TensorFlow builds them from the data in the nodes."""

from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf

from layerscope.graph.analysis.custom_gradients import (
    CARRIED,
    captured_by,
    gradient_definition,
    gradient_name,
    result_name,
)


def captured(nodes: Iterable[Any]) -> Iterator[str]:
    """The names of the tensors that the gradients of some nodes read, besides the gradients that come to them."""
    for node in nodes:
        definition = gradient_definition(node)
        if definition is not None:
            yield from captured_by(definition).values()


@tf.RegisterGradient(CARRIED)  # type: ignore[untyped-decorator]
def _custom_gradient(operation: Any, *gradients: Any) -> list[Any]:
    """The operations of the gradient, in the graph that is current: that of a loop's gradient, inside of a loop."""
    definition = gradient_definition(operation.node_def)
    there = {node.name for node in definition.node}
    given = {
        f"{gradient_name(number)}:0": tf.zeros_like(result) if gradient is None else gradient
        for number, (result, gradient) in enumerate(zip(operation.outputs, gradients, strict=True))
        if gradient_name(number) in there
    }
    for placeholder, name in captured_by(definition).items():
        # The identity is made in the current graph, and a tensor of another graph becomes one of this by that.
        given[placeholder] = tf.identity(operation.graph.get_tensor_by_name(name))
    results = [result_name(number) for number in range(len(operation.inputs))]
    wanted = [f"{name}:0" for name in results if name in there]
    found = tf.import_graph_def(definition, given, wanted, name="custom_gradient")
    by_name = dict(zip(wanted, found, strict=True))
    return [by_name.get(f"{name}:0") for name in results]
