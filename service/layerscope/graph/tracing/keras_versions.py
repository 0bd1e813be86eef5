"""What tracing has to know of a version of Keras: Keras 3, or Keras 2 as the package `tf_keras`.

Both are in one process beside each other. Keras 2 is imported by what opens its files (`layerscope.models.keras2`), and never
here, so that a model of Keras 3 is traced without it.
"""

import importlib.metadata
import sys
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class KerasVersion:
    """The classes and functions of a version of Keras.

    Attributes:
        package: the distribution it comes in.
        callables: the class whose `__call__` is the one function that every layer call passes.
        layer: the class of all layers.
        layers: the module of all layers of its own.
        linear: the activation function that changes nothing.
    """

    package: str
    callables: Any
    layer: Any
    layers: Any
    linear: Any

    @property
    def opened_with(self) -> str:
        """The package with its version, such as `keras 3.15.1`."""
        return f"{self.package} {importlib.metadata.version(self.package)}"


KERAS_3 = KerasVersion("keras", keras.Operation, keras.Layer, keras.layers, keras.activations.linear)


def version_of(layer: Any) -> KerasVersion:
    """The version of Keras that a layer, a model or an operation is of."""
    return KERAS_3 if isinstance(layer, keras.Operation) else _keras_2(sys.modules["tf_keras"])


def _keras_2(tf_keras: Any) -> KerasVersion:
    # `Layer` of the public API is this class. Models, recurrent layers and operations all call its `__call__` at last.
    layer = tf_keras.layers.Layer
    return KerasVersion("tf-keras", layer, layer, tf_keras.layers, tf_keras.activations.linear)
