"""A switch of TensorFlow's, which is the whole process's: on while it is needed, and off for everybody else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

_lock = threading.Lock()
_inside = 0


@contextmanager
def loops_differentiable() -> Iterator[None]:
    """While loops (recurrent layers) are traced or differentiated: they keep what their gradient reads.

    Left on, Keras could not train a model in this process any more. Several threads may be inside at a time.
    """
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(change: int) -> None:
    global _inside  # noqa: PLW0603 - so is the switch
    with _lock:
        _inside += change
        tf.compat.v1.experimental.output_all_intermediates(True if _inside else None)
