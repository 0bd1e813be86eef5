"""Devices that TensorFlow computes on."""

from functools import cache

import tensorflow as tf


@cache
def has_gpu() -> bool:
    """Whether there is a GPU that TensorFlow uses."""
    return bool(tf.config.list_physical_devices("GPU"))
