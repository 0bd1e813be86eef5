"""Subclassed models: the tensor of every layer, however the model calls it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import assert_close, noise, traced
from keras import layers

from layerscope.errors import InputMismatch, ModelRefused


class Siblings(keras.Model):
    """Two layers of one name, one that is named like the input, and an output by plain operations."""

    def __init__(self):
        super().__init__()
        self.first = layers.Dense(4, activation="relu", name="dense")
        self.second = layers.Dense(3, name="dense")
        self.third = layers.Dense(2, name="input")

    def call(self, inputs):
        return tf.nn.softmax(self.third(self.second(self.first(inputs))))


class Arguments(keras.Model):
    """Two arguments in, a dictionary out."""

    def __init__(self):
        super().__init__()
        self.a, self.b = layers.Dense(3, name="a"), layers.Dense(3, name="b")

    def build(self, picture_shape, words_shape):
        self.a.build(picture_shape)
        self.b.build(words_shape)

    def call(self, picture, words):
        hidden = self.a(picture) - self.b(words)
        return {"z": hidden, "a": self.a(picture)}


class Dictionary(Arguments):
    def build(self, input_shape):
        super().build(input_shape["picture"], input_shape["words"])

    def call(self, inputs):
        return super().call(inputs["picture"], inputs["words"])


class Pair(Arguments):
    def build(self, input_shape):
        super().build(*input_shape)

    def call(self, inputs):
        return super().call(*inputs)["z"]


class Blocks(layers.Layer):
    """A block that folds its columns into the batch axis, beside a table that is the same for every image."""

    def __init__(self, **options):
        super().__init__(**options)
        self.fold = layers.Dense(2, name="fold")
        self.table = layers.Embedding(4, 2, name="table")

    def call(self, inputs):
        size = tf.shape(inputs)[0]
        folded = self.fold(tf.reshape(inputs, [-1, 3]))
        return tf.reshape(folded, [size, 4, 2]) + self.table(tf.range(4))


@pytest.fixture(scope="module")
def siblings():
    keras.utils.set_random_seed(1)
    model = Siblings()
    model(noise(1, 5))
    return traced(model)


def test_siblings_of_one_name_are_told_apart(siblings):
    values, model = noise(3, 5), siblings.model
    assert_close(siblings.value("dense", on=[values]), model.first(values))
    assert_close(siblings.value("dense_1", on=[values]), model.second(model.first(values)))


def test_a_layer_named_like_the_input_is_not_lost(siblings):
    values, model = noise(3, 5), siblings.model
    assert_close(siblings.value("input", on=[values]), values)
    assert_close(siblings.value("input_1", on=[values]), model.third(model.second(model.first(values))))


def test_an_output_that_the_model_computes_itself_has_a_tap(siblings):
    values = noise(3, 5)
    ((name, output),) = siblings.trace.outputs
    assert (name, output.layer.type, output.layer.inbound) == ("output_0", "Output", ("input_1",))
    assert_close(siblings.executable.run([values], [output])[0], siblings.model(values))


@pytest.mark.parametrize("kind", [Arguments, Dictionary])
def test_several_arguments_and_dictionaries(kind):
    model = kind()
    by_name = {"words": noise(2, 5, seed=1), "picture": noise(2, 4)}
    expected = model(**by_name) if kind is Arguments else model(by_name)
    made = traced(model)
    values = [by_name[each.name] for each in made.trace.inputs]
    assert {name for name, _ in made.trace.outputs} == {"a", "z"}
    for name, tap in made.trace.outputs:
        assert_close(made.executable.run(values, [tap])[0], expected[name])
    assert_close(made.value("a:1", on=values), model.a(by_name["picture"]))


def test_a_list_of_inputs():
    model, values = Pair(), [noise(2, 4), noise(2, 5)]
    expected = model(values)
    made = traced(model)
    ((_, output),) = made.trace.outputs
    assert_close(made.executable.run(values, [output])[0], expected)


@pytest.fixture(scope="module")
def blocks():
    start = keras.Input((4, 3), name="start")
    return traced(keras.Model(start, Blocks(name="blocks")(start)))


@pytest.mark.parametrize("batch", [1, 3, 4])
def test_rows_folded_into_the_batch_axis_come_back_by_image(blocks, batch):
    values, block = noise(batch, 4, 3), blocks.model.get_layer("blocks")
    assert_close(blocks.value("blocks/fold", on=[values]), block.fold(values))
    assert_close(blocks.value("blocks", on=[values]), block(values))


@pytest.mark.parametrize("batch", [1, 3, 4])
def test_a_constant_is_the_same_for_every_image(blocks, batch):
    table = blocks.model.get_layer("blocks").table(np.arange(4))
    actual = blocks.value("blocks/table", on=[noise(batch, 4, 3)])
    assert_close(actual, np.broadcast_to(table, (batch, 4, 2)))


def test_a_constant_cannot_be_replaced(blocks):
    with pytest.raises(InputMismatch, match="constant"):
        blocks.executable.run(
            [noise(2, 4, 3)], blocks.taps("blocks"), {blocks.index["blocks/table"]: noise(2, 4, 2)}
        )


def test_the_gradient_of_a_constant_is_told_apart_by_image(blocks):
    values = noise(3, 4, 3)
    gradient = blocks.gradient([values], blocks.index["blocks"], blocks.index["blocks/table"])
    assert_close(gradient, np.ones((3, 4, 2), np.float32))


class Unbuilt(keras.Model):
    def call(self, inputs):
        return inputs


def test_a_model_that_was_never_built_is_refused():
    with pytest.raises(ModelRefused, match="input shape"):
        traced(Unbuilt())


def test_a_model_that_cannot_be_called_is_refused():
    class Broken(keras.Model):
        def call(self, inputs):
            raise RuntimeError(f"no {inputs}")

    model = Broken()
    model._build_shapes_dict = {"input_shape": (None, 3)}
    with pytest.raises(ModelRefused, match="cannot be run on inputs"):
        traced(model)


def test_a_layer_that_decides_in_python_by_a_value_is_refused():
    class Deciding(layers.Layer):
        def call(self, inputs):
            return inputs if inputs[0, 0] > 0 else -inputs

        def compute_output_spec(self, inputs):
            return keras.KerasTensor(inputs.shape, inputs.dtype)

    start = keras.Input((3,), name="start")
    with pytest.raises(
        ModelRefused, match=r"^Layer 'by_sign' \(Deciding\) decides in Python .* keras.ops.cond"
    ):
        traced(keras.Model(start, Deciding(name="by_sign")(start)))


def test_tables_are_refused():
    start = keras.Input((2,), dtype="int32")
    lookup = layers.IntegerLookup(vocabulary=[4, 5, 6])
    with pytest.raises(ModelRefused, match=r"table|cannot be run"):
        traced(keras.Model(start, lookup(start)))
