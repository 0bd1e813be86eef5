"""Guided backpropagation: gradients that pass a ReLU only where they are positive.

Springenberg et al. 2015, Striving for Simplicity: The All Convolutional Net, https://arxiv.org/abs/1412.6806, figure 1.
The gradient at the input of a ReLU is the gradient at its output where both that gradient and the output are positive, and
zero elsewhere. The forward values do not change.
"""

from typing import Any

import tensorflow as tf

RECTIFIERS = frozenset({"Relu", "Relu6"})
"""The operations whose gradient is replaced."""


def guide(definition: Any) -> None:
    """Mark each ReLU of a GraphDef, so that TensorFlow uses the guided gradient after the import."""
    for node in definition.node:
        if node.op in RECTIFIERS:
            node.attr["_gradient_op_type"].s = f"LayerscopeGuided{node.op}".encode()


@tf.RegisterGradient("LayerscopeGuidedRelu")  # type: ignore[untyped-decorator]
def _guided_relu(operation: Any, gradient: Any) -> Any:
    return tf.raw_ops.ReluGrad(gradients=tf.nn.relu(gradient), features=operation.outputs[0])


@tf.RegisterGradient("LayerscopeGuidedRelu6")  # type: ignore[untyped-decorator]
def _guided_relu6(operation: Any, gradient: Any) -> Any:
    return tf.raw_ops.Relu6Grad(gradients=tf.nn.relu(gradient), features=operation.outputs[0])
