"""Guided backpropagation: gradients that pass rectifiers only where they are positive.

Springenberg et al. 2015, Striving for Simplicity: The All Convolutional Net, https://arxiv.org/abs/1412.6806, figure 1:
what comes back through a rectifier is kept where the activation was positive and what comes back is, too.
"""

from typing import Any

import tensorflow as tf

RECTIFIERS = frozenset({"Relu", "Relu6"})
"""The operations that are guided."""


def guide(definition: Any) -> None:
    """Have the rectifiers of a GraphDef differentiated in the guided way, once it is imported."""
    for node in definition.node:
        if node.op in RECTIFIERS:
            node.attr["_gradient_op_type"].s = f"LayerscopeGuided{node.op}".encode()


@tf.RegisterGradient("LayerscopeGuidedRelu")  # type: ignore[untyped-decorator]
def _guided_relu(operation: Any, gradient: Any) -> Any:
    return tf.raw_ops.ReluGrad(gradients=tf.nn.relu(gradient), features=operation.outputs[0])


@tf.RegisterGradient("LayerscopeGuidedRelu6")  # type: ignore[untyped-decorator]
def _guided_relu6(operation: Any, gradient: Any) -> Any:
    return tf.raw_ops.Relu6Grad(gradients=tf.nn.relu(gradient), features=operation.outputs[0])
