"""Take a prepared graph over: its weights become the values of its variables, where they lie."""

from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from layerscope.graph.handover import Prepared


def import_graph(prepared: Prepared) -> list[tuple[str, str]]:
    """Import the graph into the current one.

    Returns:
        For each weight, the names of a placeholder for its values and of the operation that assigns them.
    """
    tf.import_graph_def(tf.compat.v1.GraphDef.FromString(prepared.graph), name="")
    graph = tf.compat.v1.get_default_graph()
    assignments = []
    for weight in prepared.blueprint.weights:
        handle = graph.get_tensor_by_name(f"{weight.name}:0")
        # Of no declared shape: TensorFlow's optimizer would allocate an array of it, in a pool that never shrinks.
        value = tf.compat.v1.placeholder(weight.dtype)
        assign = tf.raw_ops.AssignVariableOp(resource=handle, value=value)
        assignments.append((value.name, assign.name))
    return assignments


def assign(session: Any, assignments: list[tuple[str, str]], prepared: Prepared) -> int:
    """Give the variables their values; return the bytes of these.

    TensorFlow keeps the arrays it is called with as the variables' memory: nothing is copied. It lets go of them at
    the first call after the session is gone, see `release`.
    """
    if not assignments:
        return 0
    values = [prepared.values(weight) for weight in prepared.blueprint.weights]
    feeds, targets = zip(*assignments, strict=True)
    options = config_pb2.CallableOptions(feed=feeds, target=targets)
    # A session's public `run` copies what it is fed.
    session._make_callable_from_options(options)(*values)  # noqa: SLF001
    return sum(array.nbytes for array in values)


def release() -> None:
    """Have TensorFlow let go of the arrays of sessions that are gone, which it puts off until it is called again."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        session.run(tf.constant(0))
