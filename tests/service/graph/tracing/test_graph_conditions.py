"""Conditions, assertions and loops in the code of a layer: values and gradients as Keras computes them eagerly."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import assert_close, noise, traced
from keras import layers, ops


class Either(layers.Layer):
    """One of two layers, by the sign of the image's sum."""

    def __init__(self, call, **options):
        super().__init__(**options)
        self._given = call
        self.a, self.b = layers.Dense(4, name="a"), layers.SimpleRNN(4, name="b")

    def build(self, shape):
        self.a.build(shape)
        self.b.build((*shape, 1))

    def call(self, x):
        return self._given(self, x)


def with_cond(layer, x):
    return tf.cond(tf.reduce_sum(x) > 0, lambda: layer.a(x), lambda: layer.b(x[..., None]))


def with_ops_cond(layer, x):
    return ops.cond(ops.sum(x) > 0, lambda: layer.a(x), lambda: layer.b(x[..., None]) * 2)


def with_nested_cond(layer, x):
    return tf.cond(tf.reduce_sum(x) > 0, lambda: with_cond(layer, x - 0.1), lambda: with_cond(layer, x * 2))


def with_switch(layer, x):
    first = tf.cast(tf.reduce_sum(x) > 0, tf.int32)
    return tf.switch_case(first, [lambda: layer.a(x), lambda: layer.b(x[..., None])])


def with_while(layer, x):
    def step(n, y):
        return n + 1, tf.nn.tanh(layer.a(y)) * tf.reduce_sum(x, -1, keepdims=True)

    return tf.while_loop(lambda n, _: n < 3, step, (0, x))[1]


def with_cond_in_while(layer, x):
    return tf.while_loop(lambda n, _: n < 3, lambda n, y: (n + 1, with_cond(layer, y) + x), (0, x))[1]


def with_assertions(layer, x):
    tf.debugging.assert_equal(tf.shape(x)[1], 4)
    with tf.control_dependencies([tf.debugging.assert_less(x, 100.0), tf.debugging.assert_all_finite(x, "")]):
        return layer.a(x)


CALLS = (with_cond, with_ops_cond, with_nested_cond, with_switch, with_while, with_assertions)
IMAGES = (np.abs(noise(1, 4)), -np.abs(noise(1, 4)))


@pytest.fixture(scope="module")
def either():
    start = keras.Input((4,), name="start")
    each = [Either(call, name=call.__name__)(start) for call in (*CALLS, with_cond_in_while)]
    return traced(keras.Model(start, each))


@pytest.mark.parametrize("image", IMAGES)
def test_values_are_those_of_keras(either, image):
    values = either.values("all", on=[image])
    for layer, expected in zip(either.model.layers[1:], either.model(image), strict=True):
        assert_close(values[layer.name], expected)


@pytest.mark.parametrize("call", CALLS)
def test_gradients_are_those_of_keras(either, call):
    for image in IMAGES:
        with tf.GradientTape() as tape:
            watched = tf.Variable(image)
            score = either.model.get_layer(call.__name__)(watched)[:, 0]
        gradient = either.gradient([image], either.index[call.__name__], either.index["start"], 0)
        assert_close(gradient, tape.gradient(score, watched))


def test_layers_in_branches_are_unreachable_and_those_around_are_not(either):
    within = {path.partition("/")[0] for path in either.trace.unreachable}
    assert within == {call.__name__ for call in (*CALLS, with_cond_in_while)} - {"with_assertions"}
    assert "with_assertions/a" in either.addresses
