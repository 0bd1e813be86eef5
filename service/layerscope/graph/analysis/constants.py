"""Constants of a graph: the values of tensors that no input changes, as far as simple operations lead to them."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from layerscope.graph.analysis.subgraph import GraphParts, node_of
from layerscope.graph.prepared.prepared_model import PreparedModel

Floats = NDArray[np.float64]

_DEPTH = 16
"""Operations that are followed from a tensor to its constants."""

_OPERATIONS: dict[str, Callable[..., Any]] = {
    "Sqrt": np.sqrt,
    "Rsqrt": lambda values: 1 / np.sqrt(values),
    "Square": np.square,
    "Neg": np.negative,
    "Reciprocal": np.reciprocal,
    "Maximum": np.maximum,
    "Mul": np.multiply,
    "RealDiv": np.divide,
    "Sub": np.subtract,
    "AddV2": np.add,
    "Add": np.add,
}
_SAME = frozenset(["Identity", "Cast", "StopGradient", "Reshape", "Squeeze", "ExpandDims", "ReadVariableOp"])


class Constants:
    """Evaluates the constants of one prepared model.

    Attributes:
        nodes: all nodes of its graph, by name.
    """

    def __init__(self, prepared: PreparedModel) -> None:
        self.nodes = GraphParts(prepared.graph).nodes
        self._prepared = prepared
        self._weights = {weight.name: weight for weight in prepared.metadata.weights}

    def vector(self, name: str) -> Floats | None:
        """The values of a node as one number a channel, or one; of more axes, their mean. None if an input changes them."""
        with np.errstate(all="ignore"):
            values = self._values(name, _DEPTH)
        if values is None or values.size == 0:
            return None
        squeezed = np.squeeze(values)
        return np.atleast_1d(squeezed if squeezed.ndim <= 1 else squeezed.mean())

    def _values(self, name: str, depth: int) -> Floats | None:
        node = self.nodes[name]
        if node.op == "Const":
            return _numbers(tf.make_ndarray(node.attr["value"].tensor))
        if name in self._weights:
            return _numbers(self._prepared.values(self._weights[name]))
        inputs = [node_of(each) for each in node.input if not each.startswith("^")]
        if depth == 0 or not inputs:
            return None
        if node.op in _SAME:
            return self._values(inputs[0], depth - 1)
        return self._computed(node.op, inputs, depth - 1)

    def _computed(self, operation: str, inputs: Sequence[str], depth: int) -> Floats | None:
        operands = [self._values(each, depth) for each in inputs] if operation in _OPERATIONS else [None]
        if any(each is None for each in operands):
            return None
        with suppress(ValueError):  # Reshapes are not followed, so that shapes may not fit.
            return np.asarray(_OPERATIONS[operation](*operands), np.float64)
        return None


def _numbers(values: NDArray[Any]) -> Floats | None:
    """Values in float64; None for strings and the like. NumPy counts bfloat16 as another kind."""
    is_numeric = values.dtype.kind in "fiu" or values.dtype == tf.bfloat16.as_numpy_dtype
    return values.astype(np.float64) if is_numeric else None
