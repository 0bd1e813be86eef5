"""Devices and software that compute."""

from functools import cache
from importlib.metadata import version

import tensorflow as tf
from tensorflow.python.util import _pywrap_util_port

_LIBRARIES = ("keras", "numpy", "pillow")
"""What decodes images, traces models and draws pictures, besides TensorFlow."""


@cache
def has_gpu() -> bool:
    """Whether there is a GPU that TensorFlow uses."""
    return bool(tf.config.list_physical_devices("GPU"))


@cache
def computed_with() -> tuple[str, ...]:
    """The software and the kinds of device on which the last bits of values depend, besides the model."""
    devices = f"GPU {has_gpu()}", f"oneDNN {bool(_pywrap_util_port.IsMklEnabled())}"
    return (f"tensorflow {tf.__version__}", *devices, *(f"{name} {version(name)}" for name in _LIBRARIES))
