"""What makes a plan safe to run in several threads at once.

oneDNN's convolution that adds another tensor to its result is not: in TensorFlow 2.21 (`MklConvOp`) the kernel, which
all runs of a plan share, holds what one run is copying. Two at once computed wrong values or broke the process. So such
sums are kept out of convolutions.
"""

from collections.abc import Iterator
from typing import Any

from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2

_CONVOLUTIONS = frozenset({"Conv2D", "Conv3D", "DepthwiseConv2dNative"})
_SUMS = frozenset({"Add", "AddN", "AddV2"})
_BIASED = frozenset({"BiasAdd", "Add", "AddV2"})


def biased_before_sums(graph: Any) -> list[str]:
    """The names of the operations to run for their own sake, so that TensorFlow fuses nothing that comes behind them.

    These are the biased convolutions whose results are added to something.
    """
    return sorted(
        {biased.name for sum_ in _of(graph, _SUMS) for biased in _makers(sum_) if _is_convolved(biased)}
    )


def session_configuration(definition: Any) -> Any:
    """How to run a GraphDef. In functions, no operation can be named: nothing is fused if there are convolutions."""
    configuration = config_pb2.ConfigProto()
    inside = {node.op for function in definition.library.function for node in function.node_def}
    if inside & _CONVOLUTIONS:
        rewriting = configuration.graph_options.rewrite_options
        rewriting.remapping = rewriter_config_pb2.RewriterConfig.OFF
    return configuration


def _of(graph: Any, types: frozenset[str]) -> Iterator[Any]:
    return (operation for operation in graph.get_operations() if operation.type in types)


def _makers(operation: Any) -> Iterator[Any]:
    """What makes the inputs of an operation."""
    for tensor in operation.inputs:
        maker = tensor.op
        while maker.type == "Identity":
            maker = maker.inputs[0].op
        yield maker


def _is_convolved(operation: Any) -> bool:
    return operation.type in _BIASED and any(maker.type in _CONVOLUTIONS for maker in _makers(operation))
