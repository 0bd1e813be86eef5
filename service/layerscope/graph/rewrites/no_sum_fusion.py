"""Prevention of one fusion, which makes plans safe to run in several threads at once.

TensorFlow's optimizer fuses a convolution with the addition of another tensor behind its bias. In TensorFlow 2.21 the
operation for it (`MklConvOp`) keeps a buffer of the current run in the kernel object that all runs of a plan share. Two runs
at once computed wrong values or crashed the process. This is a safety measure and not an optimization: it applies to every
plan, whatever the setting `graph_rewrites` is.
"""

from collections.abc import Iterator
from typing import Any

from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2

_CONVOLUTIONS = frozenset({"Conv2D", "Conv3D", "DepthwiseConv2dNative"})
_SUMS = frozenset({"Add", "AddN", "AddV2"})
_BIASED = frozenset({"BiasAdd", "Add", "AddV2"})


def biased_before_sums(graph: Any) -> list[str]:
    """The names of the biased convolutions whose results are added to something.

    A plan runs them as targets. TensorFlow keeps the result of a target, so it cannot fuse the addition behind it.
    """
    return sorted(
        {biased.name for sum_ in _of(graph, _SUMS) for biased in _makers(sum_) if _is_convolved(biased)}
    )


def session_configuration(definition: Any) -> Any:
    """The session configuration for a GraphDef.

    Operations inside functions cannot be targets. If a function has convolutions, the optimizer that fuses is turned off.
    """
    configuration = config_pb2.ConfigProto()
    inside = {node.op for function in definition.library.function for node in function.node_def}
    if inside & _CONVOLUTIONS:
        rewriting = configuration.graph_options.rewrite_options
        rewriting.remapping = rewriter_config_pb2.RewriterConfig.OFF
    return configuration


def _of(graph: Any, types: frozenset[str]) -> Iterator[Any]:
    return (operation for operation in graph.get_operations() if operation.type in types)


def _makers(operation: Any) -> Iterator[Any]:
    """The operations that compute the inputs of an operation, through identities."""
    for tensor in operation.inputs:
        maker = tensor.op
        while maker.type == "Identity":
            maker = maker.inputs[0].op
        yield maker


def _is_convolved(operation: Any) -> bool:
    return operation.type in _BIASED and any(maker.type in _CONVOLUTIONS for maker in _makers(operation))
