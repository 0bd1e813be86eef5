"""Serialization of a trace for another process: constants go into the graph, values of variables into a file."""

import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import tensorflow as tf

from layerscope.errors import ModelRefused
from layerscope.graph.analysis.data_sizes import data_sized_nodes
from layerscope.graph.analysis.python_code import require_no_python
from layerscope.graph.prepared.prepared_model import ALIGNMENT, ModelMetadata, Weight, finish
from layerscope.graph.tracing.trace import Trace
from layerscope.models.manifest import Manifest
from layerscope.text import Tokenizer


def serialize(
    file: BinaryIO,
    trace: Trace,
    *,
    digest: str,
    manifest: Manifest,
    parameters: int,
    tokenizer: Tokenizer | None = None,
) -> None:
    """Write a traced model, in the form that `prepared_model.read` reads.

    Raises:
        ModelRefused: the model holds state other than numbers, such as a lookup table, or calls Python code.
    """
    require_no_python(trace.graph_def, trace.calls)
    graph = tf.compat.v1.GraphDef()
    graph.CopyFrom(trace.graph_def)
    weights = tuple(_move_captures(file, trace, graph))
    metadata = ModelMetadata(
        digest=digest,
        manifest=manifest,
        parameters=parameters,
        inputs=trace.inputs,
        placeholders=trace.placeholders,
        outputs=tuple((name, tap.address) for name, tap in trace.outputs),
        calls=trace.calls,
        unreachable=trace.unreachable,
        opened_with=trace.opened_with,
        warnings=trace.warnings,
        batch_size=trace.batch_size,
        seed=trace.seed,
        weights=weights,
        data_sized=tuple(data_sized_nodes(graph)),
        tokenizer=tokenizer,
    )
    finish(file, graph.SerializeToString(), metadata)


def _move_captures(file: BinaryIO, trace: Trace, graph: Any) -> Iterator[Weight]:
    """Turn the placeholders of captured tensors into constants and variables, and write the values of variables."""
    file.seek(ALIGNMENT)
    nodes = {node.name: node for node in graph.node}
    for placeholder, source in trace.captures:
        node = nodes[placeholder.removesuffix(":0")]
        if node.attr["dtype"].type != tf.resource.as_datatype_enum:
            _become_constant(node, source)
            continue
        if source.dtype in {tf.resource, tf.string, tf.variant}:
            raise ModelRefused(
                "The model looks something up in a table: remove its lookup layers and save it again. What splits texts can be"
                " declared as its tokenizer."
            )
        _become_variable(node, source)
        file.seek(-file.tell() % ALIGNMENT, os.SEEK_CUR)
        yield Weight(node.name, source.dtype.name, tuple(source.shape), file.tell())
        file.write(np.ascontiguousarray(source.numpy()).reshape(-1).view(np.uint8).data)


def _become_constant(node: Any, source: Any) -> None:
    node.op = "Const"
    node.attr.clear()
    node.attr["dtype"].type = source.dtype.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(source.numpy(), source.dtype))


def _become_variable(node: Any, source: Any) -> None:
    node.op = "VarHandleOp"
    node.attr.clear()
    node.attr["dtype"].type = source.dtype.as_datatype_enum
    node.attr["shape"].shape.CopyFrom(source.shape.as_proto())
    node.attr["shared_name"].s = node.name.encode()
