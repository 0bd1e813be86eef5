"""Values that are known before a run: those that depend on shapes alone."""

from collections.abc import Mapping
from typing import Any

from tensorflow.python.framework import tensor_util

from layerscope.graph.analysis.inner_graphs import source_of

Known = Mapping[str, Any]
"""The values of the arguments of a function that are known before a run, by the name of their placeholder."""


def known_value(tensor: Any, arguments: Known) -> Any | None:
    """The number that a tensor is, where it depends on shapes alone; None for any other.

    Args:
        tensor: of a graph in which shapes were inferred.
        arguments: what is known of the arguments of the function that the tensor is in.
    """
    tensor = source_of(tensor)
    if tensor.op.name in arguments:
        return arguments[tensor.op.name]
    if tensor.dtype.name in {"resource", "variant"} or tensor.shape.rank != 0:
        return None
    return tensor_util.try_evaluate_constant(tensor)
