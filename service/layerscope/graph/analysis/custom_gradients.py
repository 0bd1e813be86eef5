"""Custom gradients: gradients that a model defines itself, as data in the nodes of its graph.

`tf.custom_gradient` registers a Python function in the process where a model is traced, under a name that a node of the
graph bears. In any other process there is no such function. So the operations of the gradient are traced beside the model,
and are kept in the node as a serialized GraphDef:

    gradient_<n>    a placeholder for the gradient of the n-th result of the node
    <any name>      a placeholder for a tensor of the model; its attribute `CAPTURED` names that
    result_<n>      the gradient of the n-th input of the node; not there for inputs without one
"""

from typing import Any

import tensorflow as tf

REGISTERED = "_gradient_op_type"
"""The attribute of a node that names its gradient, where that is not the one of its operation."""

CARRIED = "LayerscopeCustomGradient"
"""The name that all gradients have that are data."""

CAPTURED = "_layerscope_captured"
"""The attribute of a placeholder in the GraphDef of a gradient that names a tensor of the model."""

_DEFINITION = "_layerscope_gradient"


def gradient_name(number: int) -> str:
    """The name of the placeholder for the gradient of a result."""
    return f"gradient_{number}"


def result_name(number: int) -> str:
    """The name of the gradient of an input."""
    return f"result_{number}"


def define_gradient(node: Any, definition: Any) -> None:
    """Give a node of a GraphDef its gradient.

    Args:
        node: the node.
        definition: the GraphDef of the gradient; None if the operations before the node are to be differentiated.
    """
    if definition is None:
        del node.attr[REGISTERED]
    else:
        node.attr[REGISTERED].s = CARRIED.encode()
        node.attr[_DEFINITION].s = definition.SerializeToString()


def gradient_definition(node: Any) -> Any:
    """The GraphDef of the gradient of a node; None if it has none of its own."""
    return tf.compat.v1.GraphDef.FromString(node.attr[_DEFINITION].s) if _DEFINITION in node.attr else None


def captured_by(definition: Any) -> dict[str, str]:
    """The tensor of the model for each placeholder, by the name of its tensor, in the GraphDef of a gradient."""
    return {
        f"{node.name}:0": node.attr[CAPTURED].s.decode() for node in definition.node if CAPTURED in node.attr
    }
