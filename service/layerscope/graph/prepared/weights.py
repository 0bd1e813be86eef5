"""Weights of a model: every session computes from the memory that they are prepared in."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from layerscope.graph.prepared.prepared_model import ALIGNMENT, Array, PreparedModel

Assignments = dict[str, tuple[str, str]]
"""For each weight, the names of a placeholder for its values and of the operation that assigns them."""


class Weights:
    """The weights of one prepared model by name, in place, and values that rewrites compute from them for all plans."""

    def __init__(self, prepared: PreparedModel) -> None:
        self._values: dict[str, Array] = {
            each.name: prepared.values(each) for each in prepared.metadata.weights
        }
        self._lock = threading.Lock()
        self.prepared_bytes = self.nbytes

    @property
    def nbytes(self) -> int:
        """Bytes of the weights in memory, with the values that are computed from them."""
        with self._lock:
            return sum(array.nbytes for array in self._values.values())

    def values(self, name: str) -> Array:
        """The values of a weight, or of a name that `kept` has computed."""
        return self._values[name]

    def kept(self, name: str, make: Callable[[], Array]) -> Array:
        """A value that is computed from weights once. The name must be none of a weight.

        Args:
            name: of the value.
            make: computes it, at the first call for the name.
        """
        with self._lock:
            if name not in self._values:
                self._values[name] = _aligned(make())
            return self._values[name]

    def assignments_in(self, graph: Any) -> Assignments:
        """Add operations to a graph, the current one, that assign values to those weights that it has."""
        made = {}
        handles = [each for each in graph.get_operations() if each.name in self._values]
        for handle in handles:
            # Without a shape: for a placeholder with one, TensorFlow's optimizer allocates an array in a pool that
            # never shrinks.
            value = tf.compat.v1.placeholder(self._values[handle.name].dtype)
            assign = tf.raw_ops.AssignVariableOp(resource=handle.outputs[0], value=value)
            made[handle.name] = value.name, assign.name
        return made

    def assign(self, session: Any, assignments: Assignments) -> None:
        """Give the variables of a session their values.

        TensorFlow uses the arrays of the call as the memory of the variables: nothing is copied. It releases them at the
        first call after the session has ended, see `release`.
        """
        if not assignments:
            return
        feeds, targets = zip(*assignments.values(), strict=True)
        options = config_pb2.CallableOptions(feed=feeds, target=targets)
        # A session's public `run` copies what it is fed.
        session._make_callable_from_options(options)(*map(self._values.__getitem__, assignments))  # noqa: SLF001


def _aligned(values: Array) -> Array:
    """A copy where TensorFlow can compute from it."""
    memory = np.empty(values.nbytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    copy: Array = memory[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


def release() -> None:
    """Make TensorFlow release the arrays of ended sessions, which it does only at the next call of any session."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        session.run(tf.constant(0))
