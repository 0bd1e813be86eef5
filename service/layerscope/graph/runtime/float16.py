"""Conversion of float32 to float16 with TensorFlow.

The results are those of NumPy, which takes tens of times as long, longest for values that float16 can only hold as
subnormal numbers.
"""

from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

Array = np.ndarray[Any, np.dtype[Any]]


def to_float16(values: Array) -> Array:
    """Round float32 of any shape to the nearest float16, ties to even; beyond its range values become infinite."""
    (halves,) = _converter()(values)
    return np.asarray(halves)


@cache
def _converter() -> Any:
    """A callable of a session: it reads the array where it is, while the public ways to call TensorFlow copy it."""
    graph = tf.Graph()
    with graph.as_default():
        values = tf.compat.v1.placeholder(tf.float32)
        halves = tf.cast(values, tf.float16)
    session = tf.compat.v1.Session(graph=graph)
    options = config_pb2.CallableOptions(feed=[values.name], fetch=[halves.name])
    return session._make_callable_from_options(options)  # noqa: SLF001
