"""Graph rewrites are checked on each model when it is loaded, and one setting turns them off."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import assert_close, noise, prepared, scatter_statistics
from keras import layers

from layerscope.graph.model import assemble
from layerscope.graph.rewrites import REWRITES
from layerscope.graph.tracing.signature import signature_of
from layerscope.graph.tracing.trace import trace
from layerscope.models.directory import ModelSource

IMAGES = noise(2, 12, 12, 3)


def network(side=12, end=layers.GlobalAveragePooling2D):
    start = hidden = keras.Input((side, side, 3), name="start")
    for number in range(3):
        hidden = layers.Conv2D(4, 3, padding="same", name=f"conv{number}")(hidden)
        hidden = layers.BatchNormalization(name=f"norm{number}")(hidden)
        hidden = layers.ReLU(name=f"act{number}")(hidden)
    return scatter_statistics(keras.Model(start, end(name="end")(hidden)))


def text_model():
    words = keras.Input((None,), dtype="int32", name="words")
    hidden = layers.Embedding(10, 4, name="table")(words)
    return keras.Model(words, layers.Dense(2, name="scores")(layers.GRU(3, name="gru")(hidden)))


def loaded(model, tmp_path, rewrites=REWRITES):
    source = ModelSource("pets", 3, tmp_path / "model.keras", tmp_path)
    made = prepared(trace(model, signature_of(model)))
    return assemble(source, made, plan_bytes=2**28, rewrites=rewrites)


def values(model, address, inputs):
    return model.executable.run([inputs], [model.description.taps[address]])[0]


def another_function(graph_def, context):
    """A rewrite that computes something else in the place of the last ReLU."""
    for node in graph_def.node:
        if node.op == "Relu" and "act2" in node.name:
            node.op = "Tanh"
    return graph_def


def no_operation(graph_def, context):
    """A rewrite whose graph TensorFlow cannot run."""
    for node in graph_def.node:
        if node.op == "Relu":
            node.op = "NoSuchOperation"
    return graph_def


def the_same(graph_def, context):
    """A rewrite that is right: it writes a ReLU in another way."""
    for node in graph_def.node:
        if node.op == "Relu":
            node.op = "LeakyRelu"
            node.attr["alpha"].f = 0.0
    return graph_def


@pytest.mark.parametrize(
    ("wrong", "problem"), [(another_function, "act2 differs by"), (no_operation, "cannot")]
)
def test_a_model_for_which_a_rewrite_is_wrong_runs_with_plain_plans(wrong, problem, tmp_path, caplog):
    model = network()
    made = loaded(model, tmp_path, (wrong, the_same))
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "pets@3" in record.message
    assert problem in record.message
    assert made.executable.plans.rewrites == ()
    for address in ("act1", "act2", "end"):
        plain = loaded(model, tmp_path, ())
        np.testing.assert_array_equal(values(made, address, IMAGES), values(plain, address, IMAGES))
    assert_close(values(made, "end", IMAGES), model(IMAGES))


@pytest.mark.parametrize("side", [12, None])
@pytest.mark.parametrize("rewrites", [REWRITES, (the_same,)])
def test_rewrites_that_are_right_stay(rewrites, side, tmp_path, caplog):
    model = network(side)
    made = loaded(model, tmp_path, rewrites)
    assert made.executable.plans.rewrites == rewrites
    assert caplog.records == []
    assert_close(values(made, "end", IMAGES), model(IMAGES))


def test_the_check_leaves_neither_plans_nor_weights_behind(tmp_path):
    model = network()
    made = loaded(model, tmp_path)
    assert made.executable.plans.nbytes == 0
    assert made.memory_bytes == loaded(model, tmp_path, ()).memory_bytes


class Fives(layers.Layer):
    """Takes images apart into 25 parts, which does not work for most sizes."""

    def call(self, images):
        return tf.reshape(images, [tf.shape(images)[0], 25, -1])


def test_a_model_that_no_example_fits_runs_with_plain_plans(tmp_path, caplog):
    model = network(None, Fives)
    made = loaded(model, tmp_path, (the_same,))
    assert "the model runs on none of the inputs that were tried" in caplog.text
    assert made.executable.plans.rewrites == ()
    images = noise(1, 5, 5, 3)
    assert_close(values(made, "end", images), model(images))


class Dice(layers.Layer):
    """Adds random numbers."""

    def call(self, values):
        return values + tf.random.uniform(tf.shape(values))


def test_a_model_that_draws_random_numbers_is_not_suspected(tmp_path, caplog):
    made = loaded(network(end=Dice), tmp_path, (the_same,))
    assert caplog.records == []
    assert made.executable.plans.rewrites == (the_same,)


def test_a_wrong_value_before_random_numbers_is_found(tmp_path, caplog):
    made = loaded(network(end=Dice), tmp_path, (another_function,))
    assert "act2 differs by" in caplog.text
    assert made.executable.plans.rewrites == ()


def test_a_model_of_which_nothing_is_rewritten_is_not_run(tmp_path, caplog):
    made = loaded(text_model(), tmp_path)
    assert caplog.records == []
    assert made.executable.plans.rewrites == REWRITES
