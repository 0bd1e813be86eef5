"""Layers that sample: all values of an answer, kept or new, are of the same random numbers."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine

PLUGIN = """
import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("sampling")
class Sample(keras.layers.Layer):
    '''Adds noise of several distributions.'''

    def call(self, mean):
        shape = tf.shape(mean)
        noise = tf.random.normal(shape) + tf.random.uniform(shape) + tf.random.truncated_normal(shape)
        noise += tf.cast(tf.random.uniform(shape, 0, 9, tf.int32), tf.float32)
        return mean + noise + tf.cast(tf.random.categorical(mean, 4), tf.float32)


@keras.saving.register_keras_serializable("sampling")
class Seeded(keras.layers.Layer):
    def build(self, shape):
        self.seeds = keras.random.SeedGenerator(7)

    def call(self, mean):
        return mean + keras.random.normal(keras.ops.shape(mean), seed=self.seeds)


@keras.saving.register_keras_serializable("sampling")
class Unfixed(keras.layers.Layer):
    def call(self, mean):
        return mean + tf.random.gamma([], tf.ones_like(mean))


@keras.saving.register_keras_serializable("sampling")
class Generated(keras.layers.Layer):
    def build(self, shape):
        self.source = tf.random.Generator.from_seed(3)

    def call(self, mean):
        return mean + self.source.normal(tf.shape(mean))
"""
NAMES = ("sample", "seeded", "generated")


def encoder_and_decoder(sampling):
    start = keras.Input((6,), name="start")
    latent = sampling(layers.Dense(4, name="mean")(start))
    return keras.Model(start, layers.Dense(3, name="decoded")(latent))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sampling")
    classes: dict = {}
    exec(compile(PLUGIN, "classes.py", "exec"), classes)  # noqa: S102 - as a plugin is
    every = (*NAMES, "unfixed")
    models = {name: encoder_and_decoder(classes[name.capitalize()](name="latent")) for name in every}
    models["plain"] = encoder_and_decoder(layers.Dropout(0.5, name="latent"))
    for name, model in models.items():
        folder = directory / name / "1"
        folder.mkdir(parents=True)
        (folder / "classes.py").write_text(PLUGIN, "utf-8")
        (folder / "layerscope.json").write_text(json.dumps({"plugins": ["classes.py"]}), "utf-8")
        model.save(folder / "model.keras")
    engine = LocalEngine(directory)
    engine.load_all()
    yield engine, models
    engine.close()


def values(engine, model, *names, seed=0):
    image = np.random.default_rng(seed).normal(size=(1, 6)).astype(np.float32)
    return engine.run(Query(model=model, sources={"start": [TensorSource(image)]}, layers=names)).activations


@pytest.mark.parametrize("name", NAMES)
def test_values_that_are_kept_and_new_ones_are_of_one_run(served, name):
    engine, models = served
    latent = values(engine, name, "latent")["latent"].values
    decoded = values(engine, name, "latent", "decoded")["decoded"].values
    np.testing.assert_allclose(decoded, models[name].get_layer("decoded")(latent), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_random_all_the_same(served, name):
    engine, _ = served
    found = values(engine, name, "mean", "latent", seed=1)
    noise = found["latent"].values - found["mean"].values
    assert np.ptp(noise) > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_a_warning_says_so(served, name):
    engine, _ = served
    assert any("random numbers" in each for each in values(engine, name, "latent").warnings)
    assert not any("random numbers" in each for each in values(engine, "plain", "latent").warnings)


def test_it_is_told_where_numbers_are_others_in_each_run(served):
    engine, _ = served
    (warning,) = [each for each in values(engine, "unfixed", "latent").warnings if "random" in each]
    assert "do not belong together" in warning
