"""What a model is called with: optional inputs, declared shapes, and models that do not know their inputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import assert_close, made_ready, noise, traced
from keras import layers, ops

from layerscope.errors import ModelRefused
from layerscope.graph.tracing.signature import signature_of
from layerscope.graph.tracing.trace import trace
from layerscope.models.manifest import Manifest


def traced_as(model, **declared):
    return made_ready(model, trace(model, signature_of(model, Manifest(**declared))))


class Biased(layers.Layer):
    """Adds what may be left out, before a layer that runs only then."""

    def __init__(self, **options):
        super().__init__(**options)
        self.scale = layers.Dense(3, name="scale")

    def build(self, _):
        self.scale.build((None, 3))

    def call(self, x, bias=None):
        return x if bias is None else x + self.scale(bias)


@pytest.fixture(scope="module")
def biased():
    start, bias = keras.Input((3,), name="start"), keras.Input((3,), optional=True, name="bias")
    return keras.Model([start, bias], Biased(name="biased")(start, bias=bias))


def test_an_optional_input_is_left_out(biased):
    made = traced_as(biased)
    assert made.addresses == ["start", "biased"]
    assert made.trace.warnings == (
        "Input 'bias' is optional and left out: name it in optional_inputs in layerscope.json if requests give it.",
    )
    assert_close(made.value("biased", on=[noise(2, 3)]), noise(2, 3))


def test_an_optional_input_is_given_where_it_is_declared(biased):
    made = traced_as(biased, optional_inputs=["bias"])
    values = [noise(2, 3), noise(2, 3, seed=1)]
    assert made.addresses == ["start", "bias", "biased/scale", "biased"]
    assert_close(made.value("biased", on=values), biased(values))


class Steps(keras.Model):
    """Loops over time in Python."""

    def __init__(self):
        super().__init__()
        self.cell = layers.SimpleRNNCell(3, name="cell")

    def build(self, _):
        self.cell.build((None, 2))

    def call(self, inputs):
        state = ops.zeros((ops.shape(inputs)[0], 3))
        for step in range(inputs.shape[1]):
            state, _ = self.cell(inputs[:, step], [state])
        return state


def of_any_length():
    model = Steps()
    model.build((None, None, 2))
    model._build_shapes_dict = {"input_shape": (None, None, 2)}
    return model


def test_a_loop_in_python_has_the_length_that_is_declared():
    model, values = of_any_length(), noise(2, 4, 2)
    made = traced_as(model, shapes={"input": [4, 2]})
    assert_close(made.value("cell:3", on=[values]), model(values))


def test_a_loop_in_python_of_any_length_is_refused_with_what_to_declare():
    with pytest.raises(ModelRefused, match=r"TypeError.*\"shapes\": \{\"input\": \[8, 2\]\}"):
        traced(of_any_length())


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"shapes": {"input": [4, 5]}}, "declares shape"),
        ({"shapes": {"input": [4]}}, "declares shape"),
        ({"shapes": {"picture": [4, 2]}}, "no input 'picture'"),
        ({"optional_inputs": ["mask"]}, "no input 'mask'"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(declared, message):
    with pytest.raises(ModelRefused, match=message):
        traced_as(of_any_length(), **declared)


class Context(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3, name="dense")

    def call(self, inputs):
        hidden = self.dense(inputs["x"])
        return hidden if inputs["context"] is None else hidden + inputs["context"]


def test_what_was_left_out_when_the_model_was_built_stays_left_out():
    model = Context()
    expected = model({"x": noise(2, 4), "context": None})
    made = traced(model)
    assert [each.name for each in made.trace.inputs] == ["x"]
    assert_close(made.value("dense", on=[noise(2, 4)]), expected)


class Plain(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(3, name="dense")

    def call(self, inputs):
        return self.dense(inputs)


def without_its_shape(model):
    model._build_shapes_dict = None
    return model


def test_a_model_without_a_shape_takes_the_one_that_is_declared():
    model = Plain()
    expected = model(noise(2, 4))
    with pytest.raises(ModelRefused, match=r"a Plain, does not know the shape of its input: declare it"):
        traced(without_its_shape(model))
    made = traced_as(model, shapes={"input": [4]})
    assert_close(made.value("dense", on=[noise(2, 4)]), expected)


@pytest.mark.parametrize("make", [Plain, lambda: keras.Sequential([layers.Dense(3)])])
def test_a_model_that_was_saved_before_it_had_weights_is_refused(make):
    with pytest.raises(ModelRefused, match="neither weights nor an input shape"):
        traced_as(make(), shapes={"input": [4]})


def test_a_layer_without_weights_is_refused():
    model = Plain()
    model.other = layers.Dense(2, name="other")
    model.other.build((None, 4))
    with pytest.raises(ModelRefused, match=r"no weights for layer '.*dense'"):
        traced_as(without_its_shape(model), shapes={"input": [4]})


def doubled(array):
    return array * 2


@pytest.mark.parametrize("function", [tf.numpy_function, tf.py_function])
def test_python_code_behind_a_graph_is_refused_at_load(function):
    class Doubled(layers.Layer):
        def call(self, inputs):
            return tf.ensure_shape(function(doubled, [inputs], tf.float32), inputs.shape)

    start = keras.Input((2,), name="start")
    with pytest.raises(ModelRefused, match="Layer 'doubled' computes with Python code"):
        traced(keras.Model(start, layers.Dense(2)(Doubled(name="doubled")(start))))


def test_python_code_that_no_value_needs_does_no_harm():
    class Watched(layers.Layer):
        def call(self, inputs):
            tf.numpy_function(np.sum, [inputs], tf.float32)
            return inputs * 2

    start = keras.Input((2,), name="start")
    made = traced(keras.Model(start, Watched(name="watched")(start)))
    assert_close(made.value("watched", on=[noise(1, 2)]), noise(1, 2) * 2)
