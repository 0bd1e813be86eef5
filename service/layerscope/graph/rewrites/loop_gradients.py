"""Gradients of loops: a switch of TensorFlow that is turned on only while a loop is traced or differentiated.

The gradient of a loop reads the values of each of its steps, so the loop must output them (`output_all_intermediates`).
TensorFlow has one switch for the whole process, and with the switch on Keras cannot train a model in it. So this module
counts the threads that need the switch, and turns it off when the last one is done.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

_lock = threading.Lock()
_inside = 0


@contextmanager
def loops_differentiable() -> Iterator[None]:
    """A context in which loops, such as recurrent layers, are traced with what their gradient needs.

    Several threads may be inside at the same time.
    """
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(change: int) -> None:
    global _inside  # noqa: PLW0603 - the switch is global too
    with _lock:
        _inside += change
        tf.compat.v1.experimental.output_all_intermediates(True if _inside else None)
