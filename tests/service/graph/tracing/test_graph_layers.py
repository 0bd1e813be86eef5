"""Every layer that Keras has: what comes out, what goes in, and what its activation function gets."""

import inspect
from functools import cache

import keras
import numpy as np
import pytest
from graph_models import assert_close, noise, scatter_statistics, traced
from keras import layers
from keras_layers import BRANCHES, NOT_TRIED, of_images, of_sequences, of_volumes

from eager_reference import EagerReference, assert_same_as_keras


@cache
def branches(of):
    keras.utils.set_random_seed(1)
    shape, dtype = BRANCHES[of]
    start = keras.Input(shape, dtype=dtype, name="start")
    return traced(scatter_statistics(keras.Model(start, [branch(start) for branch in of()])))


def values_of(made):
    (start,) = made.trace.inputs
    if start.dtype == "int32":
        return np.random.default_rng(0).integers(0, 4, (3, *start.shape), np.int32)
    return noise(3, *start.shape)


@pytest.mark.parametrize("of", BRANCHES)
def test_every_layer_is_as_keras_computes_it(of):
    made = branches(of)
    assert_same_as_keras(made, values_of(made))


@pytest.mark.parametrize("of", [of_images, of_sequences, of_volumes])
def test_what_an_activation_function_gets_is_the_layer_without_it(of):
    made = branches(of)
    values = values_of(made)
    inputs = EagerReference(made.model, values).values
    # A cell's activation functions are those of its gates: none of them gives the cell's values.
    activated = {each.name: each for each in made.model._flatten_layers() if has_activation(each)}
    taps = [tap for tap in made.taps("all@preactivation") if not tap.layer.type.endswith("Cell")]
    assert {tap.layer.path[-1] for tap in taps} == activated.keys()
    for tap, array in zip(taps, made.executable.run([values], taps), strict=True):
        linear = without_activation(activated[tap.layer.path[-1]])
        assert_close(array, linear(inputs[tap.address.replace("@preactivation", "@input")]), 1e-5)


def has_activation(layer):
    is_recurrent = isinstance(layer, layers.RNN) or type(layer).__name__.endswith("Cell")
    return not is_recurrent and layer.get_config().get("activation", "linear") != "linear"


def without_activation(layer):
    made = type(layer).from_config({**layer.get_config(), "activation": "linear"})
    made.build(layer.input.shape if layer._inbound_nodes else layer._build_shapes_dict["input_shape"])
    made.set_weights(layer.get_weights())
    return made


def test_no_layer_of_keras_is_forgotten():
    public = {
        value
        for value in vars(layers).values()
        if inspect.isclass(value) and issubclass(value, layers.Layer) and value.__name__ not in NOT_TRIED
    }
    tried = {type(layer) for of in BRANCHES for layer in branches(of).model._flatten_layers()}
    assert {layer.__name__ for layer in public - tried} == set()
