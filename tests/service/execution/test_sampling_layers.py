"""Layers that sample: all values of an answer, kept or new, are of the same random numbers."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from layerscope.attribution import METHODS
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
class Constant(keras.layers.Layer):
    '''Adds the same numbers in every run, in Keras too.'''

    def call(self, mean):
        return mean + keras.random.normal(keras.ops.shape(mean), seed=5)


@keras.saving.register_keras_serializable("sampling")
class Scaled(keras.layers.Layer):
    def call(self, mean):
        return mean * tf.random.normal(tf.shape(mean))


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


def image_classifier(sampling):
    start = keras.Input((4, 4, 1), name="start")
    latent = sampling(layers.Conv2D(3, 3, padding="same", name="mean")(start))
    return keras.Model(start, layers.Dense(2, name="decoded")(layers.GlobalAveragePooling2D()(latent)))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sampling")
    classes: dict = {}
    exec(compile(PLUGIN, "classes.py", "exec"), classes)  # noqa: S102 - as a plugin is
    every = (*NAMES, "unfixed", "constant")
    models = {name: encoder_and_decoder(classes[name.capitalize()](name="latent")) for name in every}
    models["scaled"] = image_classifier(classes["Scaled"](name="latent"))
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


def values(engine, model, *names, image=0, seed=0, shape=(6,), methods=None):
    pixels = np.random.default_rng(image).normal(size=(1, *shape)).astype(np.float32)
    return engine.run(
        Query(
            model=model,
            sources={"start": [TensorSource(pixels)]},
            layers=names,
            methods=methods or {},
            seed=seed,
        )
    )


def layer_values(engine, model, *names, **options):
    found = values(engine, model, *names, **options).activations
    return [found[name].values for name in names]


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
@pytest.mark.parametrize("name", NAMES)
def test_values_that_are_kept_and_new_ones_are_of_one_run(served, name, seed):
    engine, models = served
    (latent,) = layer_values(engine, name, "latent", seed=seed)
    _, decoded = layer_values(engine, name, "latent", "decoded", seed=seed)
    np.testing.assert_allclose(decoded, models[name].get_layer("decoded")(latent), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_random_all_the_same(served, name):
    engine, _ = served
    mean, latent = layer_values(engine, name, "mean", "latent", image=1)
    assert np.ptp(latent - mean) > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_each_seed_has_numbers_of_its_own(served, name):
    engine, _ = served
    mean = layer_values(engine, name, "mean")[0]
    noises = [layer_values(engine, name, "latent", seed=seed)[0] - mean for seed in (0, 1, 2, 1)]
    np.testing.assert_array_equal(noises[1], noises[3])
    for one, other in ((0, 1), (1, 2), (0, 2)):
        # Neither equal nor shifted.
        assert np.abs(np.subtract.outer(noises[one].ravel(), noises[other].ravel())).min() > 1e-6


def test_the_answer_names_the_seed_where_there_is_one(served):
    engine, _ = served
    assert values(engine, "sample", "latent").activations.seed == 0
    assert values(engine, "sample", "latent", seed=3).activations.seed == 3
    assert values(engine, "plain", "latent", seed=3).activations.seed is None


def test_a_seed_changes_nothing_in_models_that_draw_nothing_and_in_constants(served):
    engine, models = served
    for name in ("plain", "constant"):
        runs = engine.runs
        (first,), (second,) = (layer_values(engine, name, "decoded", seed=seed) for seed in (0, 3))
        np.testing.assert_array_equal(first, second)
        assert engine.runs == runs + 1
    image = np.random.default_rng(0).normal(size=(1, 6)).astype(np.float32)
    np.testing.assert_allclose(first, models["constant"](image), rtol=1e-4, atol=1e-5)


def test_gradients_are_of_the_same_numbers_as_values(served):
    engine, models = served
    for seed in (0, 1):
        methods = {"saliency": METHODS["saliency"].options(target="1")}
        found = values(engine, "scaled", "mean", "latent", seed=seed, shape=(4, 4, 1), methods=methods)
        mean, latent = (found.activations[name].values for name in ("mean", "latent"))
        kernel = models["scaled"].get_layer("decoded").kernel[:, 1]
        weights = models["scaled"].get_layer("mean").kernel
        shares = tf.constant(latent / mean) * kernel / 16
        expected = tf.nn.conv2d_transpose(shares, weights, (1, 4, 4, 1), 1, "SAME")
        map_ = found.attribution("saliency").maps
        np.testing.assert_allclose(map_, np.abs(expected)[..., 0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_warning_says_so(served, name):
    engine, _ = served
    assert any("random numbers" in each for each in values(engine, name, "latent").activations.warnings)
    assert not any(
        "random numbers" in each for each in values(engine, "plain", "latent").activations.warnings
    )


def test_numbers_that_no_seed_fixes_are_of_one_run_in_each_answer(served):
    engine, models = served
    answers = [values(engine, "unfixed", "mean", "latent", "decoded", seed=1).activations for _ in range(2)]
    for each in answers:
        expected = models["unfixed"].get_layer("decoded")(each["latent"].values)
        np.testing.assert_allclose(each["decoded"].values, expected, rtol=1e-4, atol=1e-5)
        (warning,) = [text for text in each.warnings if "random" in text]
        assert "in each run" in warning
        assert each.seed is None
    assert np.abs(answers[0]["latent"].values - answers[1]["latent"].values).max() > 1e-3
    assert [each.hit for each in answers] == [False, False]
    np.testing.assert_array_equal(answers[0]["mean"].values, answers[1]["mean"].values)
