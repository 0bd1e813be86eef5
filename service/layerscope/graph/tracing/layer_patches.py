"""Patches for the time of a call, of single layers and of compiled functions.

Some calls do not pass the function where `call_recorder` records: those of a fused activation function, those inside
compiled functions, and in Keras 3 those of the layer inside a `TimeDistributed`. A patch makes them visible, and
is undone after the call.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from layerscope.graph.tracing.keras_versions import version_of


@contextmanager
def activation_input_recorded(operation: Any) -> Iterator[list[Any]]:
    """Collect the tensors that a layer passes to its fused activation function, unless that is a layer itself."""
    found: list[Any] = []
    activation = vars(operation).get("activation")
    version = version_of(operation)
    if not callable(activation) or isinstance(activation, version.layer) or activation is version.linear:
        yield found
        return

    def record(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        found.append(tensor)
        return activation(tensor, *args, **kwargs)

    with _replaced(operation, "activation", record):
        yield found


@contextmanager
def compiled_functions_inlined() -> Iterator[None]:
    """Call the Python functions of this thread's `tf.function`s, without AutoGraph: what is inside is hidden otherwise.

    Layers inside become taps, and gradients that code inside defines are known. TensorFlow's own gradient of a function
    knows neither, and is by weights too, which fails for the grouped convolutions that Keras compiles.
    """
    kind = type(tf.function(lambda: None))
    original, thread = kind.__call__, threading.get_ident()

    def called(function: Any, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            return original(function, *args, **kwargs)
        graph = tf.compat.v1.get_default_graph()
        before = len(graph.get_operations())
        result = function.python_function(*args, **kwargs)
        made = {operation.type for operation in graph.get_operations()[before:]}
        # Keras compiles convolutions of three axes where processors have them only so.
        is_needed = function._jit_compile and "Conv3D" in made  # noqa: SLF001
        return original(function, *args, **kwargs) if is_needed else result

    kind.__call__ = called
    try:
        yield
    finally:
        kind.__call__ = original


@contextmanager
def loop_of_steps_kept(operation: Any) -> Iterator[None]:
    """Keep the recurrent layers of Keras 2 from choosing between two functions, one of which is for GPUs only.

    They then loop over their steps in the graph itself, as those of Keras 3 do.
    """
    if "_could_use_gpu_kernel" not in vars(operation):
        yield
        return
    with _replaced(operation, "_could_use_gpu_kernel", False):
        yield


@contextmanager
def time_steps_recorded(operation: Any, record: Callable[..., Any]) -> Iterator[None]:
    """Let `record(layer, call, args, kwargs)` make the calls of the layer that a `TimeDistributed` wraps.

    Keras makes one call for each time step. In a graph with a free number of steps it makes one for each image instead,
    by mistake. Here, all steps of all images are then one call, as rows of the batch axis.
    """
    if not isinstance(operation, keras.layers.TimeDistributed):
        yield
        return
    wrapped = operation.layer
    original = wrapped.call

    def recorded(*args: Any, **kwargs: Any) -> Any:
        return record(wrapped, lambda _, *a, **k: original(*a, **k), args, kwargs)

    def call(inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if inputs.shape[1] is not None:
            return in_steps(inputs, training=training, mask=mask)
        return _all_steps_at_once(wrapped, inputs, training, mask)

    in_steps = operation.call
    with _replaced(operation, "call", call), _replaced(wrapped, "call", recorded):
        yield


def _all_steps_at_once(layer: Any, inputs: Any, training: bool | None, mask: Any) -> Any:
    keywords = {}
    if mask is not None and layer._call_has_mask_arg:  # noqa: SLF001
        keywords["mask"] = _folded(mask)
    if layer._call_has_training_arg:  # noqa: SLF001
        keywords["training"] = training
    outputs = layer.call(_folded(inputs), **keywords)
    sizes = tf.concat([tf.shape(inputs)[:2], tf.shape(outputs)[1:]], 0)
    unfolded = tf.reshape(outputs, sizes)
    unfolded.set_shape([*inputs.shape[:2], *outputs.shape[1:]])
    return unfolded


def _folded(tensor: Any) -> Any:
    """Make the first two axes one."""
    folded = tf.reshape(tensor, tf.concat([[-1], tf.shape(tensor)[2:]], 0))
    folded.set_shape([None, *tensor.shape[2:]])
    return folded


@contextmanager
def _replaced(operation: Any, name: str, value: Any) -> Iterator[None]:
    """Through __dict__, because Keras' own __setattr__ would refuse the change or track it as state."""
    attributes = vars(operation)
    before = {name: attributes[name]} if name in attributes else {}
    attributes[name] = value
    try:
        yield
    finally:
        del attributes[name]
        attributes.update(before)
