"""What an image gets does not depend on the images that it runs together with."""

import keras
import numpy as np
import pytest
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


@pytest.mark.parametrize("build", [network, centring])
@pytest.mark.parametrize("batch", [2, 5])
def test_each_image_of_a_batch_gets_what_it_gets_alone(build, batch):
    made = traced(build())
    images = noise(batch, *made.trace.inputs[0].shape)
    together = made.values("all", on=[images])
    for number in range(batch):
        alone = made.values("all", on=[images[number : number + 1]])
        for address, values in alone.items():
            np.testing.assert_array_equal(together[address][number], values[0])


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


def test_whether_images_may_run_together_is_known_at_once_or_after_the_first_batch():
    made = traced(centring())
    assert not made.executable.batches(made.taps("centred"), [(4,)])
    made = traced(network())
    taps, sizes = made.taps("all"), [(16, 16, 1)]
    assert made.executable.batches(taps, sizes)
    together = made.executable.run([noise(2, 16, 16, 1)], taps)
    assert together[0].shape == (2, 16, 16, 1)
    assert made.executable.batches(taps[:1], sizes)


def test_without_exactness_only_what_is_more_than_rounding_runs_apart():
    for build, joins in ((network, True), (centring, False)):
        made = traced(build())
        executable = Executable(made.prepared, plan_bytes=PLAN_BYTES, exact=False)
        (size,) = [each.shape for each in made.trace.inputs]
        images, taps = noise(4, *size), made.taps("all")
        for found, expected in zip(
            executable.run([images], taps), made.executable.run([images], taps), strict=True
        ):
            assert_close(found, expected, 1e-4)
        assert executable.batches(taps, [size]) is joins
