"""What every layer of a model of Keras 2 computes, as Keras 2 runs it: eagerly, in a process without Keras 3.

Each layer found in the model gets a `call` that notes its results. Nothing here knows how the service records calls.
"""

import sys
from collections import Counter
from contextlib import ExitStack, contextmanager

import numpy as np
import tensorflow as tf

from layerscope.graph.taps.addresses import Address


def values_of(model, inputs):
    """What comes out of every call of a layer, by address, for a batch; and the model's outputs by number.

    Args:
        model: of Keras 2.
        inputs: an array for each input of the model.
    """
    noted, counts, path = {}, Counter(), [()]
    names = {}

    @contextmanager
    def noting(layer):
        original = layer.call

        def call(*args, **kwargs):
            here = (*path[-1], _name(names.setdefault(path[-1], {}), layer))
            number = counts[here]
            counts[here] += 1
            path.append(here)
            try:
                result = original(*args, **kwargs)
            finally:
                path.pop()
            for output, tensor in enumerate(filter(tf.is_tensor, tf.nest.flatten(result))):
                noted[str(Address(here, number, output))] = np.asarray(tensor)
            return result

        vars(layer)["call"] = call
        try:
            yield
        finally:
            del vars(layer)["call"]

    layers = {id(layer): layer for layer in model._flatten_layers(include_self=False)}
    with ExitStack() as stack:
        for layer in layers.values():
            if type(layer).__name__ != "InputLayer":
                stack.enter_context(noting(layer))
        result = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    noted |= {f"output {number}": np.asarray(each) for number, each in enumerate(tf.nest.flatten(result))}
    return noted


def inputs_of(model, seed=0):
    """A batch of one for each input, or of the size that the model has: numbers from 0 to 1, or whole numbers."""
    random = np.random.default_rng(seed)
    return [_input(random, each) for each in model.inputs]


def _input(random, spec):
    shape = [spec.shape[0] or 1, *(side or 8 for side in spec.shape[1:])]
    if spec.dtype.is_integer or spec.dtype.is_bool:
        return random.integers(0, 4, shape).astype(spec.dtype.as_numpy_dtype)
    return random.random(shape).astype(spec.dtype.as_numpy_dtype)


def _name(siblings, layer):
    """Siblings of one name are numbered, as Keras numbers layers elsewhere."""
    if id(layer) not in siblings:
        name, number = layer.name, 0
        while name in siblings.values():
            number += 1
            name = f"{layer.name}_{number}"
        siblings[id(layer)] = name
    return siblings[id(layer)]


def main(path, target):
    """Replace the inputs in a file, those of one image, by what every layer of the model in another file computes from them.

    A model that takes batches of one size only is given a batch of copies.
    """
    import tf_keras

    model = tf_keras.models.load_model(path, compile=False)
    with np.load(target) as file:
        images = [file[f"arr_{number}"] for number in range(len(file.files))]
    batch = [np.repeat(each[None], model.inputs[0].shape[0] or 1, axis=0) for each in images]
    np.savez(target, **values_of(model, batch))


if __name__ == "__main__":
    main(*sys.argv[1:])
