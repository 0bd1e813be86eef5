"""Import of the graph of a SavedModel into this version of TensorFlow, and a description of each of its tensors."""

from typing import Any

import tensorflow as tf
from tensorflow.python.framework.func_graph import FuncGraph

from layerscope.graph.saved.flattening import canonical, functions_needed
from layerscope.graph.saved.graph import ServingGraph, placeholder
from layerscope.graph.saved.signature import SavedSignature
from layerscope.graph.taps.tap import Tensor
from layerscope.graph.tracing.batch_axis import Rows, rows_of
from layerscope.graph.tracing.signature import Signature


def imported(
    meta_graph: Any, serving: ServingGraph, signature: SavedSignature
) -> tuple[Any, dict[str, Tensor], Any]:
    """The nodes of a graph as this TensorFlow writes them, as a GraphDef, and every tensor of theirs that can be delivered.

    The third result is the graph as TensorFlow has it, which knows the shapes of all tensors.

    Args:
        meta_graph: where they come from.
        serving: the nodes.
        signature: the inputs and outputs.

    Raises:
        ModelRefused: the graph runs only on batches of a certain size.
    """
    graph = _import(meta_graph, serving)
    # The order that functions have, in which what is fed comes first.
    graph.inputs = [graph.get_tensor_by_name(f"{placeholder(n)}:0") for n in range(len(signature.inputs))]
    if signature.batch_size is None:
        _set_shapes(graph, serving)
    made = [tensor for each in graph.get_operations() for tensor in each.outputs]
    deliverable = list(filter(_is_deliverable, made))
    called_with = Signature(signature.inputs, structure=(), batch_size=signature.batch_size)
    rows = rows_of(graph, called_with, deliverable)
    described = {tensor.name: _described(tensor, rows[tensor.name]) for tensor in deliverable}
    return _with_canonical_inputs(graph.as_graph_def()), described, graph


def _import(meta_graph: Any, serving: ServingGraph) -> Any:
    graph_def = tf.compat.v1.GraphDef(versions=meta_graph.graph_def.versions, node=serving.nodes)
    graph_def.library.function.extend(functions_needed(meta_graph.graph_def.library, serving.nodes))
    producer = meta_graph.meta_info_def.stripped_op_list
    graph = FuncGraph("saved_model")
    with graph.as_default():
        tf.import_graph_def(graph_def, name="", producer_op_list=producer if producer.op else None)
    return graph


def _set_shapes(graph: Any, serving: ServingGraph) -> None:
    """The shape of a tensor: Keras saved more than can be inferred."""
    needed = {node.name for node in serving.nodes}
    for name, shape in serving.flat.shapes.items():
        resolved = serving.flat.resolved(name)
        if resolved.partition(":")[0] in needed:
            tensor, known = graph.get_tensor_by_name(resolved), tf.TensorShape(shape)
            if tensor.shape.is_compatible_with(known):
                tensor.set_shape(known)


def _with_canonical_inputs(graph_def: Any) -> Any:
    for node in graph_def.node:
        inputs = [canonical(tensor) for tensor in node.input]
        node.ClearField("input")
        node.input.extend(inputs)
    return graph_def


def _is_deliverable(tensor: Any) -> bool:
    """Whether it is of real numbers and known rank."""
    is_real = tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool
    return bool(is_real and tensor.shape.rank is not None)


def _described(tensor: Any, rows: Rows) -> Tensor:
    shape = tuple(tensor.shape.as_list())
    return Tensor(
        name=tensor.name,
        shape=shape[1:] if rows.batched else shape,
        dtype=tensor.dtype.name,
        batched=rows.batched,
        mixed=rows.mixed,
    )
