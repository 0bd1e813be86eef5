"""Models of every kind, all their taps, for several images at once: what Keras computes eagerly for each alone."""

import keras
import numpy as np
import pytest
from graph_models import assert_close, noise, traced
from keras import layers
from kinds_of_models import (
    KINDS,
    images_mixed,
    images_mixed_out_of_sight,
    of_precision,
    three_in_front,
    time_first,
    windows_in_the_batch,
)
from kinds_table import KERAS_3, within

from eager_reference import EagerReference, assert_same_as_keras
from layerscope.errors import InputMismatch
from layerscope.models.formats import open_model


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_kinds_of_models(kind):
    keras.utils.set_random_seed(1)
    model, inputs = kind()
    assert_same_as_keras(traced(model), inputs, within(kind.__name__))


def test_the_page_on_models_has_every_kind():
    assert KERAS_3.keys() == {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize(
    ("policy", "delivered"),
    [
        ("mixed_float16", "float16"),
        ("mixed_bfloat16", "float32"),
        ("float16", "float16"),
        ("float64", "float64"),
    ],
)
def test_precisions(policy, delivered):
    keras.utils.set_random_seed(2)
    model, inputs = of_precision(policy)()
    made = traced(model)
    assert_same_as_keras(made, inputs)
    assert made.value("attention", on=[inputs]).dtype == np.dtype(delivered)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_an_architecture_of_mixed_precision(policy):
    keras.utils.set_random_seed(3)
    keras.config.set_dtype_policy(policy)
    try:
        model = keras.applications.MobileNet((32, 32, 3), alpha=0.25, weights=None, classes=3)
    finally:
        keras.config.set_dtype_policy("float32")
    assert_same_as_keras(traced(model), noise(2, 32, 32, 3))


@pytest.mark.parametrize("sizes", [(7, 9), (16, 5)])
def test_free_sizes(sizes):
    keras.utils.set_random_seed(4)
    start = keras.Input((None, None, 3), name="start")
    hidden = layers.Conv2D(4, 3, activation="relu", name="conv")(start)
    hidden = layers.UpSampling2D(name="up")(layers.MaxPooling2D(name="pool")(hidden))
    made = traced(keras.Model(start, [hidden, layers.GlobalMaxPooling2D(name="most")(hidden)]))
    assert_same_as_keras(made, noise(3, *sizes, 3))


@pytest.mark.parametrize("length", [2, 3, 5])
def test_free_numbers_of_steps(length):
    keras.utils.set_random_seed(5)
    start = keras.Input((None, 4), name="start")
    hidden = layers.LSTM(3, return_sequences=True, name="lstm")(start)
    attended = layers.MultiHeadAttention(2, 2, name="attention")(hidden, hidden)
    made = traced(keras.Model(start, layers.Conv1D(2, 2, name="conv")(attended)))
    assert_same_as_keras(made, noise(3, length, 4))


@pytest.mark.parametrize("name", ["größe", "層", "a layer @ 3:*", "block.conv", "..", "-1", "[x]?%2F", "\\"])
def test_any_name(name):
    """Of the model, an input, a layer, a nested model and a layer in it."""
    keras.utils.set_random_seed(12)
    inner = keras.Sequential(
        [keras.Input((3,)), layers.Dense(3, name=name), layers.ReLU(name="relu")], name=name
    )
    start = keras.Input((5,), name=f"{name} in")
    hidden = layers.Dense(3, activation="tanh", name=f"{name}0")(start)
    made = traced(keras.Model(start, inner(hidden), name=name))
    assert_same_as_keras(made, noise(3, 5))
    assert [call.path for call in made.trace.calls] == [
        *((f"{name} in",), (f"{name}0",), (name, name), (name, "relu"), (name,)),
    ]
    for tap in made.taps("all"):
        assert made.taps(tap.address) == [tap]


def made_for_three(layer):
    start = keras.Input(batch_shape=(3, 5, 4), name="start")
    return keras.Model(start, layer(start))


def test_a_model_made_for_three_images_takes_two_if_it_can():
    assert_same_as_keras(traced(made_for_three(layers.Dense(2))), noise(2, 5, 4))


def test_a_model_that_takes_three_images_and_no_other_number_runs_on_copies_of_each():
    made = traced(made_for_three(lambda start: keras.ops.reshape(start, (5, 3, 4))))
    images = noise(2, 5, 4)
    (address,) = [tap.address for tap in made.index.select(["outputs"])]
    expected = [np.repeat(image[None], 3, axis=0).reshape(5, 3, 4) for image in images]
    assert_close(made.value(address, on=[images]), np.stack(expected))


@pytest.mark.parametrize("length", [1, 3, 5])
def test_a_layer_for_each_of_a_free_number_of_steps(length):
    """Keras calls it once a step; here one call has all steps of an image, as rows."""
    keras.utils.set_random_seed(9)
    start = keras.Input((None, 6, 6, 2), name="start")
    step = keras.Sequential(
        [layers.Conv2D(3, 3, activation="relu", name="conv"), layers.Flatten()], name="step"
    )
    made = traced(keras.Model(start, layers.TimeDistributed(step, name="each")(start)))
    films = noise(3, length, 6, 6, 2)
    actual = made.values("each", "each/step", "each/step/conv", on=[films])
    for number, film in enumerate(films):
        reference = EagerReference(made.model, film[None]).values
        assert_close(actual["each"][number], reference["each"][0])
        for path in ("each/step", "each/step/conv"):
            steps = [reference[f"{path}:{step}" if step else path] for step in range(length)]
            assert_close(actual[path][number], np.concatenate(steps) if length > 1 else steps[0][0])


class Words(keras.Model):
    """A subclassed model does not say that it takes integers."""

    def __init__(self):
        super().__init__()
        self.table, self.head = layers.Embedding(5000, 3, name="table"), layers.Dense(2, name="head")

    def call(self, inputs):
        return self.head(self.table(inputs))


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_numbers_of_words_beyond_what_half_precision_counts(policy):
    keras.utils.set_random_seed(10)
    keras.config.set_dtype_policy(policy)
    try:
        model = Words()
    finally:
        keras.config.set_dtype_policy("float32")
    words = np.array([[4001, 4003, 2], [5, 6, 4999]], np.int32)
    model(words)
    made = traced(model)
    assert [each.dtype for each in made.trace.inputs] == ["int32"]
    assert_same_as_keras(made, words)


PLUGIN = """
import keras
from keras import layers, ops


class Block(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.inner = [layers.Dense(4, activation="relu", name="inner") for _ in range(2)]

    def build(self, shape):
        for layer in self.inner:
            layer.build(shape)

    def call(self, inputs):
        return inputs + self.inner[1](self.inner[0](inputs))


class Whole(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.block, self.head = Block(name="block"), layers.Dense(2, name="head")

    def build(self, shape):
        self.block.build(shape)
        self.head.build(shape)

    def call(self, inputs):
        hidden = self.block(self.block(inputs))
        return {"scores": self.head(hidden), "norm": ops.norm(hidden, axis=-1)}
"""


def test_a_subclassed_model_of_a_plugin(tmp_path):
    keras.utils.set_random_seed(11)
    (tmp_path / "whole.py").write_text(PLUGIN, "utf-8")
    scope = {}
    exec(PLUGIN, scope)  # noqa: S102
    model = scope["Whole"]()
    model.build((None, 4))
    model.save(tmp_path / "model.keras")
    made = traced(open_model(tmp_path / "model.keras", [tmp_path / "whole.py"]))
    assert set(made.addresses) == {
        *("input", "block/inner", "block/inner_1", "block", "block/inner:1", "block/inner_1:1", "block:1"),
        *("head", "norm"),
    }
    vectors = noise(3, 4)
    expected = model(vectors)
    for name, tap in made.trace.outputs:
        assert_close(made.executable.run([vectors], [tap])[0], expected[name])
    hidden = model.block(vectors)
    assert_close(made.value("block/inner:1", on=[vectors]), model.block.inner[0](hidden))


@pytest.mark.parametrize(
    "kind", [images_mixed, images_mixed_out_of_sight, time_first, three_in_front, windows_in_the_batch]
)
def test_no_image_shows_in_the_values_of_another(kind):
    keras.utils.set_random_seed(6)
    model, images = kind()
    made = traced(model)
    for tap in made.taps("all", "all@input"):
        (together,) = made.executable.run([images], [tap])
        alone = [made.executable.run([images[n : n + 1]], [tap])[0] for n in range(len(images))]
        assert_close(together, np.concatenate(alone), 1e-6)


@pytest.mark.parametrize("kind", [images_mixed, images_mixed_out_of_sight])
def test_no_image_shows_in_the_gradient_of_another(kind):
    keras.utils.set_random_seed(7)
    model, images = kind()
    made = traced(model)
    target, tap = made.index["dense"], made.index["start"]
    together = made.gradient([images], target, tap)
    alone = [made.gradient([images[n : n + 1]], target, tap) for n in range(len(images))]
    assert_close(together, np.concatenate(alone), 1e-6)


def test_what_depends_on_other_images_can_be_replaced_if_it_is_told_by_image():
    keras.utils.set_random_seed(8)
    model, images = images_mixed()
    made = traced(model)
    deviation, same = made.index["deviation"], made.index["deviation/same"]
    (actual,) = made.executable.run([images], made.taps("dense"), {deviation: images})
    assert_close(actual, model.get_layer("dense")(images), 1e-6)
    with pytest.raises(InputMismatch, match="mixes the images of a batch: it cannot be changed"):
        made.executable.run([images], made.taps("dense"), {same: images[:, 0]})
