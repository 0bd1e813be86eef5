"""What every layer of a model computes, as Keras runs it: eagerly, without any graph of ours.

Each layer found in the model gets a `call`, or a `quantized_call`, that notes its results. Nothing here knows how the service records calls.
"""

from collections import Counter
from contextlib import ExitStack, contextmanager

import keras
import numpy as np
import tensorflow as tf

from layerscope.graph.taps.addresses import Address, encode_path


class EagerReference:
    """One eager run of `model` in inference mode.

    `values` are by address, in the order of the calls: what came out of each, and at `@input` what went in.
    `result` is what the model returned. `changes` are functions that change what comes out of calls, by address.
    """

    def __init__(self, model, *args, changes=(), **kwargs):
        self.values = {}
        self._changes = dict(changes)
        self._path, self._counts, self._names = [()], Counter(), {}
        with ExitStack() as stack:
            for operation in _operations(model):
                stack.enter_context(self._noting(operation))
            self.result = model(*args, **kwargs, training=False)

    def outside(self, loops):
        """The values without those of layers that run inside a loop, whose paths are `loops`.

        Nothing else may be hidden so: such a layer was called several times.
        """
        assert {path for path in loops if self._counts[path] < 2} == set()
        return {address: value for address, value in self.values.items() if _path_of(address) not in loops}

    @contextmanager
    def _noting(self, operation):
        name = "call" if getattr(operation, "quantization_mode", None) is None else "quantized_call"
        original = getattr(operation, name)

        def call(*args, **kwargs):
            path = (*self._path[-1], self._name(operation))
            number = self._counts[encode_path(path)]
            self._counts[encode_path(path)] += 1
            self._path.append(path)
            try:
                result = original(*args, **kwargs)
            finally:
                self._path.pop()
            result = self._changes.get(str(Address(path, number, 0, "output")), lambda value: value)(result)
            given = {name: value for name, value in kwargs.items() if "mask" not in name}
            self._note(path, number, "output", result)
            self._note(path, number, "input", (args, given))
            return result

        # Past Keras' own __setattr__, which keeps track of what belongs to a layer.
        vars(operation)[name] = call
        try:
            yield
        finally:
            del vars(operation)[name]

    def _note(self, path, number, site, structure):
        tensors = [leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, tf.Tensor)]
        for output, tensor in enumerate(each for each in tensors if not each.dtype.is_complex):
            self.values[str(Address(path, number, output, site))] = as_array(tensor)

    def _name(self, operation):
        """Siblings of one name are numbered, as Keras numbers layers elsewhere."""
        siblings = self._names.setdefault(self._path[-1], {})
        if operation not in siblings:
            name, number = operation.name, 0
            while name in siblings.values():
                number += 1
                name = f"{operation.name}_{number}"
            siblings[operation] = name
        return siblings[operation]


def assert_same_as_keras(made, inputs, relative=1e-5):
    """There is a tap for what came out of every call and for what went in, no other, and each has the right values.

    Args:
        made: a `Traced` model.
        inputs: what it is called with: an array, or a nest of arrays, of one or more images. They are run at once,
            and must come out as Keras computes each image alone.
        relative: by how much of the largest magnitude a value may differ.
    """
    errors = relative_errors(made, inputs)
    assert {address: error for address, error in errors.items() if not error <= relative} == {}


def relative_errors(made, inputs):
    """By address: the largest difference as a part of the largest magnitude; infinite for another shape."""
    arrays = keras.tree.flatten(inputs)
    actual = made.values("all", "all@input", on=arrays)
    entrances = {encode_path((each.name,)) for each in made.trace.inputs}
    errors = dict.fromkeys(actual.keys() - entrances, 0.0)
    for number in range(len(arrays[0])):
        image = keras.tree.map_structure(lambda array, n=number: array[n : n + 1], inputs)
        expected = EagerReference(made.model, image).outside(made.trace.unreachable)
        assert actual.keys() - entrances == expected.keys()
        for address, value in expected.items():
            errors[address] = max(errors[address], _relative_error(actual[address][number], value))
    return errors


def _relative_error(actual, expected):
    """Of one image. What Keras gives has a batch axis of size one, if it has one."""
    if expected.shape == (1, *actual.shape):
        expected = expected[0]
    if expected.shape != actual.shape:
        return np.inf
    actual, expected = actual.astype(np.float64), expected.astype(np.float64)
    return float(np.abs(actual - expected).max(initial=0) / max(np.abs(expected).max(initial=0), 1e-12))


def as_array(tensor):
    """Values of a type that numpy has."""
    return np.asarray(tf.cast(tensor, tf.float32) if tensor.dtype == tf.bfloat16 else tensor)


def _operations(model):
    """All layers inside `model` at any depth, and the plain operations of its functional graphs."""
    inside = model._flatten_layers(include_self=False)
    hidden = {id(getattr(layer, "_functional", None)) for layer in [model, *inside]}
    found = {id(layer): layer for layer in inside if id(layer) not in hidden}
    for layer in [model, *inside]:
        graph = getattr(layer, "_functional", None) or layer
        found |= {id(operation): operation for operation in getattr(graph, "operations", ())}
    return [each for each in found.values() if not isinstance(each, keras.layers.InputLayer)]


def _path_of(address):
    return address.split("@")[0].split(":")[0]
