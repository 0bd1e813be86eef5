"""What an image gets does not depend on the images that it runs together with."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import PLAN_BYTES, assert_close, noise, scatter_statistics, traced
from keras import layers

from layerscope.graph.runtime.executable import Executable


def network():
    start = keras.Input((16, 16, 1), name="start")
    hidden = start
    for number in range(3):
        hidden = layers.Conv2D(8, 3, name=f"conv{number}")(hidden)
        hidden = layers.BatchNormalization(name=f"norm{number}")(hidden)
        hidden = layers.ReLU(name=f"act{number}")(hidden)
    hidden = layers.Dense(10, name="head")(layers.Flatten(name="flat")(hidden))
    return scatter_statistics(keras.Model(start, layers.Softmax(name="scores")(hidden)))


class Centred(keras.layers.Layer):
    def call(self, inputs):
        return inputs - keras.ops.mean(inputs, axis=0, keepdims=True)


def centring():
    start = keras.Input((4,), name="start")
    return keras.Model(start, layers.Dense(2, name="after")(Centred(name="centred")(start)))


def normalizing():
    """Layers whose values differ in a batch for some images only, and seldom for the first."""
    start = keras.Input((32, 32, 3), name="start")
    hidden = layers.LayerNormalization(name="norm")(layers.Conv2D(16, 3, name="conv")(start))
    hidden = layers.GlobalAveragePooling2D(name="pool")(hidden)
    return keras.Model(start, layers.Dense(10, activation="softmax", name="scores")(hidden))


class Summed(keras.layers.Layer):
    """Adds up the images of a batch: the first of them has the value that it has alone."""

    def call(self, inputs):
        return keras.ops.cumsum(inputs, axis=0)


def summing():
    start = keras.Input((4,), name="start")
    return keras.Model(start, layers.Dense(2, name="after")(Summed(name="summed")(start)))


class Fourth(keras.layers.Layer):
    """Adds the first image to the fourth, so that only a batch of at least four shows that it mixes images."""

    def call(self, inputs):
        return inputs + tf.pad(inputs[:-3], [[tf.minimum(3, tf.shape(inputs)[0]), 0], [0, 0]])


def adding_to_the_fourth():
    start = keras.Input((4,), name="start")
    return keras.Model(start, layers.Dense(2, name="after")(Fourth(name="fourth")(start)))


@pytest.mark.parametrize("build", [network, normalizing, centring, summing, adding_to_the_fourth])
@pytest.mark.parametrize("batch", [2, 5, 16])
def test_each_image_of_a_batch_gets_what_it_gets_alone(build, batch):
    made = traced(build())
    for seed in range(3):
        images = noise(batch, *made.trace.inputs[0].shape, seed=seed)
        together = made.values("all", on=[images])
        for number in range(batch):
            alone = made.values("all", on=[images[number : number + 1]])
            for address, values in alone.items():
                np.testing.assert_array_equal(together[address][number], values[0])


def test_the_last_layer_too_whose_values_differ_for_one_image_in_ten():
    made = traced(normalizing())
    for seed in range(8):
        images = noise(8, 32, 32, 3, seed=seed)
        together = made.value("scores", on=[images])
        for number in range(8):
            alone = made.value("scores", on=[images[number : number + 1]])
            np.testing.assert_array_equal(together[number], alone[0])


def test_gradients_too():
    made = traced(network())
    images, scores, tap = noise(3, 16, 16, 1), made.index["scores"], made.index["act0"]
    gradient = made.gradient([images], scores, tap, 2)
    for number in range(3):
        alone = made.gradient([images[number : number + 1]], scores, tap, 2)
        np.testing.assert_array_equal(gradient[number], alone[0])


def test_equal_images_do_not_hide_that_a_model_compares_them():
    made = traced(centring())
    image = noise(1, 4)
    for images in (np.concatenate([image, image]), np.concatenate([image, -image])):
        assert not made.value("centred", on=[images]).any()


def test_exact_images_never_share_a_batch():
    made = traced(network())
    assert not made.executable.batches(made.taps("all"), [(16, 16, 1)])


def test_whether_inexact_images_share_a_batch_is_known_at_once_or_after_the_first_batch():
    made = traced(centring())
    assert not inexact(made).batches(made.taps("centred"), [(4,)])
    made = traced(network())
    executable, taps, sizes = inexact(made), made.taps("all"), [(16, 16, 1)]
    assert executable.batches(taps, sizes)
    assert executable.run([noise(2, 16, 16, 1)], taps)[0].shape == (2, 16, 16, 1)
    assert executable.batches(taps[:1], sizes)


@pytest.mark.parametrize(
    ("build", "joins"),
    [
        (network, True),
        (normalizing, True),
        (centring, False),
        (summing, False),
        (adding_to_the_fourth, False),
    ],
)
def test_without_exactness_only_what_is_more_than_rounding_runs_apart(build, joins):
    made = traced(build())
    executable = inexact(made)
    (size,) = [each.shape for each in made.trace.inputs]
    taps = made.taps("all")
    for batch in (2, 4, 8):
        images = noise(batch, *size, seed=batch)
        for found, expected in zip(
            executable.run([images], taps), made.executable.run([images], taps), strict=True
        ):
            assert_close(found, expected, 1e-4)
    assert executable.batches(taps, [size]) is joins


def inexact(made):
    return Executable(made.prepared, plan_bytes=PLAN_BYTES, exact=False)
