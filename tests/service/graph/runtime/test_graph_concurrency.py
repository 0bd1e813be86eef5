"""A plan runs in several threads at once, and every run gets its own values."""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import noise, traced
from keras import layers

THREADS = 4
RUNS = 150
BLOCKS = 8


class ResidualInAFunction(layers.Layer):
    """A convolution to whose result its input is added, where TensorFlow optimizes it apart from the graph."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], shape[-1]))
        self.bias = self.add_weight(shape=(shape[-1],))

    def call(self, images):
        return self.added(images, tf.convert_to_tensor(self.kernel), tf.convert_to_tensor(self.bias))

    @tf.function
    def added(self, images, kernel, bias):
        return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(images, kernel, 1, "SAME"), bias) + images)


def residual(kind):
    convolution = {"2d": layers.Conv2D, "3d": layers.Conv3D}[kind]

    def block(hidden):
        branch = convolution(4, 3, padding="same", bias_initializer="random_normal")(hidden)
        return layers.Activation("relu")(layers.Add()([hidden, branch]))

    return block


@pytest.mark.parametrize(
    ("shape", "make_block"),
    [
        pytest.param((6, 6, 4), lambda: residual("2d"), id="images"),
        pytest.param((4, 4, 4, 4), lambda: residual("3d"), id="volumes"),
        pytest.param((6, 6, 4), ResidualInAFunction, id="a function"),
    ],
)
def test_runs_at_once_do_not_touch_each_other(shape, make_block):
    images = hidden = keras.Input(shape)
    for _ in range(BLOCKS):
        hidden = make_block()(hidden)
    executable = (model := traced(keras.Model(images, hidden))).executable
    taps = model.taps("**")
    inputs = [[noise(1, *shape, seed=seed)] for seed in range(THREADS)]
    alone = [executable.run(each, taps) for each in inputs]

    def differ(number):
        return sum(
            not all(map(np.array_equal, executable.run(inputs[number], taps), alone[number]))
            for _ in range(RUNS)
        )

    with ThreadPoolExecutor(THREADS) as threads:
        assert list(threads.map(differ, range(THREADS))) == [0] * THREADS
