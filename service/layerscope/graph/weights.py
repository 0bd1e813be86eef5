"""Take a traced graph over: its weights become variables of the graph, which a session then holds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from layerscope.errors import ModelRefused
from layerscope.graph.tracing import Trace

_BYTES_A_TRANSFER = 64 * 1024 * 1024


@dataclass(frozen=True)
class Weight:
    """A variable of a graph: the operation that assigns it, the placeholder for its value, where that comes from."""

    assign: Any
    placeholder: Any
    source: Any

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return int(self.source.shape.num_elements() * self.source.dtype.size)


def import_graph(trace: Trace) -> list[Weight]:
    """Import the graph into the current one, with variables that have no value yet.

    Raises:
        ModelRefused: the model holds state other than variables, such as a lookup table.
    """
    replaced: dict[str, Any] = {}
    weights = []
    for number, (placeholder, source) in enumerate(trace.captures):
        if not isinstance(source, tf.Variable):
            replaced[placeholder] = _constant(source)
            continue
        name = f"layerscope/weight_{number}"
        handle = tf.raw_ops.VarHandleOp(dtype=source.dtype, shape=source.shape, shared_name=name, name=name)
        value = tf.compat.v1.placeholder(source.dtype, source.shape)
        weights.append(Weight(tf.raw_ops.AssignVariableOp(resource=handle, value=value), value, source))
        replaced[placeholder] = handle
    tf.import_graph_def(trace.graph_def, input_map=replaced, name="")
    return weights


def assign(session: Any, weights: Sequence[Weight]) -> int:
    """Copy the values of `weights` into the session; return their bytes."""
    for group in _groups(weights):
        session.run(
            [weight.assign for weight in group],
            {weight.placeholder: weight.source.numpy() for weight in group},
        )
    return sum(weight.size for weight in weights)


def _constant(source: Any) -> Any:
    if source.dtype == tf.resource:
        raise ModelRefused(
            "The model looks something up in a table: remove its lookup layers and save it again."
        )
    return tf.constant(source.numpy())


def _groups(weights: Sequence[Weight]) -> Iterator[list[Weight]]:
    """Split so that a transfer, which is copied on its way, stays small while few transfers are needed."""
    group: list[Weight] = []
    for weight in weights:
        group.append(weight)
        if sum(each.size for each in group) >= _BYTES_A_TRANSFER:
            yield group
            group = []
    if group:
        yield group
