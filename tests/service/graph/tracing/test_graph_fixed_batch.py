"""Models that run with one batch size only, such as those with states that are kept between batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import assert_close, noise, traced
from keras import layers

from layerscope.errors import ModelRefused


def stateful(cell, batch=2):
    start = keras.Input(batch_shape=(batch, 5, 3), name="start")
    hidden = cell(4, stateful=True, return_sequences=True, name="steps")(start)
    last = cell(3, stateful=True, name="last")(layers.Dense(4, activation="tanh", name="dense")(hidden))
    return keras.Model(start, layers.Dense(2, name="end")(last))


def expected(model, images):
    """Every layer's values of each image, in a batch of its copies that begins with empty states."""
    result = []
    for image in images:
        for layer in model.layers:
            if getattr(layer, "stateful", False):
                layer.reset_states()
        hidden, values = np.repeat(image[None], model.inputs[0].shape[0], axis=0), {}
        for layer in model.layers[1:]:
            hidden = values[layer.name] = layer(hidden)
        result.append({name: each[0] for name, each in values.items()})
    return {name: np.stack([each[name] for each in result]) for name in result[0]}


@pytest.fixture(scope="module")
def gru():
    model = stateful(layers.GRU)
    # What training left behind in the states is no part of an answer.
    model(noise(2, 5, 3, seed=7))
    return traced(model)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_states_begin_at_zero_for_each_image(gru, count):
    images = noise(count, 5, 3)
    for _ in range(2):
        values = gru.values("steps", "dense", "last", "end", "end@input", on=[images])
        for name, value in expected(gru.model, images).items():
            assert_close(values[name], value)
        assert_close(values["end@input"], values["last"])


def test_it_is_said_in_a_warning(gru):
    (warning,) = gru.trace.warnings
    assert warning == (
        "The model runs on batches of 2 only: each image runs alone, in a batch of copies. The states that its layers keep"
        " between batches begin at zero for each image."
    )
    assert [tap.shape for tap in gru.index.outputs()] == [(5, 3), (5, 4), (5, 4), (3,), (2,)]


def test_gradients_and_replaced_values(gru):
    images = noise(3, 5, 3)
    end, dense, start = (gru.index[name] for name in ("end", "dense", "start"))
    gradient = gru.gradient([images], end, start, 0)
    for number, image in enumerate(images):
        with tf.GradientTape() as tape:
            watched = tf.Variable(image)
            for layer in gru.model.layers:
                if getattr(layer, "stateful", False):
                    layer.reset_states()
            score = gru.model(tf.stack([watched, watched]))[0, 0]
        assert_close(gradient[number], tape.gradient(score, watched))
    replaced = noise(3, 5, 4, seed=2)
    (values,) = gru.executable.run([images], [end], {dense: replaced})
    again = [[gru.model.get_layer("last"), gru.model.get_layer("end")] for _ in images]
    for number, (last, scores) in enumerate(again):
        last.reset_states()
        assert_close(values[number], scores(last(np.repeat(replaced[number : number + 1], 2, axis=0)))[0])


@pytest.mark.parametrize("cell", [layers.LSTM, layers.SimpleRNN])
def test_a_batch_of_one(cell):
    made = traced(stateful(cell, batch=1))
    assert_close(made.value("end", on=[noise(2, 5, 3)]), expected(made.model, noise(2, 5, 3))["end"])


def test_a_fixed_batch_that_nothing_needs_is_free():
    start = keras.Input(batch_shape=(4, 5, 3), name="start")
    made = traced(keras.Model(start, layers.LSTM(2, name="lstm")(start)))
    assert made.trace.warnings == ()
    assert made.prepared.metadata.batch_size is None


def test_numbers_of_rows_in_the_code_of_a_layer():
    class Paired(layers.Layer):
        def call(self, inputs):
            return tf.reshape(inputs, [4, 2, 3]) * tf.reshape(tf.range(4.0), [4, 1, 1])

    start = keras.Input(batch_shape=(4, 6), name="start")
    model = keras.Model(start, layers.Dense(2, name="end")(Paired(name="paired")(start)))
    made = traced(model)
    image = noise(1, 6)
    assert_close(made.value("end", on=[image]), model(np.repeat(image, 4, axis=0))[:1])


@pytest.mark.parametrize("name", ["a>b>", ">", "a\\b", "ünï", "a b", "__", "a>_b"])
def test_names_that_tensorflow_does_not_take(name):
    start = keras.Input((5, 3), name="start")
    model = keras.Model(start, layers.Dense(2, name=name)(layers.LSTM(4, name="lstm")(start)), name=name)
    made = traced(model)
    (_, output), *_ = made.trace.outputs
    assert_close(made.executable.run([noise(2, 5, 3)], [output])[0], model(noise(2, 5, 3)))


def test_a_batch_size_that_the_model_does_not_tell_is_refused():
    class Four(layers.Layer):
        def call(self, inputs):
            return tf.reshape(inputs, [4, 3])

        def compute_output_spec(self, inputs):
            return keras.KerasTensor((None, 3))

    start = keras.Input((3,), name="start")
    with pytest.raises(ModelRefused, match="certain size"):
        traced(keras.Model(start, Four(name="four")(start)))
