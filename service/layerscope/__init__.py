"""Layerscope's engine: any layer of any Keras model, for any image, without a web framework."""

import importlib
import os
from typing import TYPE_CHECKING, Any

# Before anything imports Keras: models are traced with TensorFlow, whose C++ start-up messages are noise.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# NumPy's matrix products take one thread: beside models that use all processors, several threads take 20 times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"

if TYPE_CHECKING:
    from collections.abc import Callable

    show: Callable[..., Any]
    """The explorer for models that are in memory: `layerscope_api.live.show`."""
else:

    def __getattr__(name: str) -> object:
        """`layerscope.show` is of the service, and found here by those who ask for it. The engine works without."""
        if name != "show":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return importlib.import_module("layerscope_api.live").show
