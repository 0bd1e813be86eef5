"""Every method against eager computation, on models of every kind of wiring and of output."""

import eager_methods
import numpy as np
import pytest
import tensorflow as tf

from layerscope.attribution import METHODS

SIDE = 12
WIRINGS = (
    "plain",
    "skipping",
    "nested",
    "shared",
    "several",
    "sure",
    "size",
    "labels",
    "segments",
    "hidden_softmax",
    "subclassed",
    "any_size",
)


def pictures(count=2, seed=0, side=SIDE):
    return np.random.default_rng(seed).uniform(-1, 1, (count, side, side, 3)).astype(np.float32)


def difference(found, expected):
    """The largest, as a part of the largest magnitude."""
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / np.abs(expected).max()


def wanted(example, method):
    """The options that ask for what the example explains."""
    options = dict(example.options)
    if METHODS[method].kind == "layer":
        options["layer"] = example.layer
    if example.has_classes:
        options["target"] = str(example.target)
    if not METHODS[method].has_target:
        options = {"layer": example.layer}
    return options


@pytest.mark.parametrize("method", eager_methods.METHODS)
@pytest.mark.parametrize("model", WIRINGS)
def test_maps_are_those_of_the_paper(explain, model, method):
    example, images = explain.examples[model], pictures()
    expected = eager_methods.METHODS[method](example, images)
    found = explain(model, method, images, **wanted(example, method))
    assert found.maps.dtype == np.float32
    assert difference(found.maps, expected) < 1e-4
    assert METHODS[method].is_signed or found.maps.min() >= 0


def test_every_method_is_compared_or_has_a_test_of_its_own():
    assert METHODS.keys() - eager_methods.METHODS.keys() == {"guided-saliency"}


def test_guided_saliency_lets_back_only_what_is_positive(explain):
    example, images = explain.examples["plain"], tf.constant(pictures())
    stem, last, kind = (example.model.get_layer(name) for name in ("stem", "last", "kind"))

    @tf.custom_gradient
    def guided(values):
        return tf.nn.relu(values), lambda slope: tf.where(
            (values > 0) & (slope > 0), slope, tf.zeros_like(slope)
        )

    with tf.GradientTape() as tape:
        tape.watch(images)
        values = guided(stem.convolution_op(images, stem.kernel) + stem.bias)
        values = guided(last.convolution_op(values, last.kernel) + last.bias)
        score = (tf.reduce_mean(values, (1, 2)) @ kind.kernel)[:, 2]
    expected = np.abs(tape.gradient(score, images)).max(-1)
    assert difference(explain("plain", "guided-saliency", images, target="2").maps, expected) < 1e-4


@pytest.mark.parametrize("model", ["plain", "hidden_softmax", "segments"])
@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_what_its_images_are_one_by_one(explain_anew, model, method):
    images = pictures(3)
    together = explain_anew(model, method, images)
    for number in range(3):
        alone = explain_anew(model, method, images[number : number + 1])
        assert not alone.hit
        np.testing.assert_array_equal(alone.maps[0], together.maps[number])
