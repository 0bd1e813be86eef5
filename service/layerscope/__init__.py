"""Layerscope's engine: any layer of any Keras model, for any image, without a web framework."""

import os

# Before anything imports Keras: models are traced with TensorFlow, whose C++ start-up messages are noise.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# NumPy's matrix products take one thread: beside models that use all processors, several threads take 20 times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
