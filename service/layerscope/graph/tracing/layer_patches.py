"""Patches of single layers, for the time of one call.

Some calls do not pass the function where `call_recorder` records: those of a fused activation function, those inside a
compiled function, and in Keras 3 those of the layer inside a `TimeDistributed`. A patch of the layer makes them visible, and
is undone after the call.
"""

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
def compiled_call_inlined(operation: Any) -> Iterator[None]:
    """Replace a `call` that is a `tf.function` by its Python function: the layers inside are hidden otherwise."""
    call = operation.call
    if not isinstance(call, tf.types.experimental.PolymorphicFunction):
        yield
        return
    with _replaced(operation, "call", call.python_function):
        yield


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
