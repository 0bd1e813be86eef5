"""What every layer of a model computes, as Keras runs it: eagerly, without any graph of ours.

Each layer found in the model gets a `call` that notes its results. Nothing here knows how the service records calls.
"""

from collections import Counter
from contextlib import ExitStack, contextmanager

import keras
import numpy as np
import tensorflow as tf

from layerscope.graph.addresses import Address, encode_path


class EagerReference:
    """One eager run of `model` in inference mode.

    `values` are the outputs of every layer call by address, `inputs` what went into each by address, both in the
    order of the calls. `loops` are the paths of the layers that ran inside a loop or a vectorised map.
    """

    def __init__(self, model, *args, **kwargs):
        self.values, self.inputs, self._in_graph = {}, {}, set()
        self._path, self._counts, self._names = [()], Counter(), {}
        with ExitStack() as stack:
            for operation in _operations(model):
                stack.enter_context(self._noting(operation))
            self.result = model(*args, **kwargs, training=False)

    @property
    def paths(self):
        return {address.split(":")[0] for address in self.values} | self._in_graph

    def is_repeated(self, path):
        return self._counts[path] > 1

    @contextmanager
    def _noting(self, operation):
        original = operation.call

        def call(*args, **kwargs):
            path = (*self._path[-1], self._name(operation))
            number = self._counts[encode_path(path)]
            self._counts[encode_path(path)] += 1
            self._path.append(path)
            try:
                result = original(*args, **kwargs)
            finally:
                self._path.pop()
            self._note(self.values, path, number, result)
            given = {name: value for name, value in kwargs.items() if "mask" not in name}
            self._note(self.inputs, path, number, (args, given))
            return result

        # Past Keras' own __setattr__, which keeps track of what belongs to a layer.
        vars(operation)["call"] = call
        try:
            yield
        finally:
            del vars(operation)["call"]

    def _note(self, noted, path, number, structure):
        tensors = [leaf for leaf in keras.tree.flatten(structure) if tf.is_tensor(leaf)]
        if any(not hasattr(tensor, "numpy") for tensor in tensors):
            self._in_graph.add(encode_path(path))
            return
        for output, tensor in enumerate(tensors):
            noted[str(Address(path, number, output))] = _array(tensor)

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


def _operations(model):
    """All layers inside `model` at any depth, and the plain operations of its functional graphs."""
    inside = model._flatten_layers(include_self=False)
    hidden = {id(getattr(layer, "_functional", None)) for layer in [model, *inside]}
    found = {id(layer): layer for layer in inside if id(layer) not in hidden}
    for layer in [model, *inside]:
        graph = getattr(layer, "_functional", None) or layer
        found |= {id(operation): operation for operation in getattr(graph, "operations", ())}
    return [each for each in found.values() if not isinstance(each, keras.layers.InputLayer)]


def _array(tensor):
    return np.asarray(tf.cast(tensor, tf.float32) if tensor.dtype == tf.bfloat16 else tensor)
