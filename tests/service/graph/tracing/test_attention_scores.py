"""Attention scores: those that Keras gives for `return_attention_scores=True`, of every layer of attention."""

import keras
import numpy as np
import pytest
from graph_models import assert_close, noise, traced
from keras import layers
from kinds_of_models import masked_attention

import hub_models
from attention_reference import scores_of_keras

PADDED = [
    np.array([[5, 6, 7, 8, 9, 0, 0], [9, 8, 7, 6, 5, 4, 3]], np.int32),
    np.array([[1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1, 1]], np.int32),
]


def of_hub(name):
    def model():
        made = hub_models.MODELS[name]()
        given = dict(zip(("token_ids", "padding_mask"), PADDED, strict=True))
        return made, {each: given.get(each, np.zeros_like(PADDED[0])) for each in made.input}

    return model


def causal():
    start = keras.Input((5, 6), name="start")
    causal = layers.MultiHeadAttention(2, 3, dropout=0.5, name="causal")(start, start, use_causal_mask=True)
    fused = layers.MultiHeadAttention(2, 3, name="fused")(causal, start, use_causal_mask=True)
    narrow = layers.MultiHeadAttention(3, 2, sliding_window=2, name="narrow")(fused, fused)
    given = layers.Attention(dropout=0.5, name="given")([narrow, start], return_attention_scores=True)
    return keras.Model(start, given), noise(2, 5, 6)


@pytest.mark.parametrize(
    ("make", "count"),
    [(masked_attention, 4), (causal, 4), (of_hub("bert"), 2), (of_hub("gpt2"), 2), (of_hub("clip_text"), 2)],
    ids=["masked", "causal", "bert", "gpt2", "clip_text"],
)
def test_scores_are_those_that_keras_gives(make, count):
    keras.utils.set_random_seed(1)
    model, inputs = make()
    made = traced(model)
    arrays = keras.tree.flatten(
        [inputs[each.name] for each in made.trace.inputs] if isinstance(inputs, dict) else inputs
    )
    actual = made.values("all@scores", on=arrays)
    expected = scores_of_keras(model, inputs)
    assert actual.keys() == expected.keys()
    assert len(actual) == count
    for address, scores in actual.items():
        assert made.index[address].axes == ("heads", "query", "key")[-scores.ndim + 1 :]
        np.testing.assert_allclose(scores.sum(-1), 1, atol=1e-6)
        # Of a query that may attend to nothing, Keras gives zeros, but multiplies by equal shares.
        may_attend = expected[address].sum(-1) > 0
        assert may_attend.mean() > 0.5
        np.testing.assert_allclose(scores[may_attend], expected[address][may_attend], atol=1e-6)
    # What the model computes stays as it is.
    for (_, tap), output in zip(made.trace.outputs, keras.tree.flatten(model(inputs)), strict=True):
        assert_close(made.executable.run(arrays, [tap])[0], output, 1e-6)


def test_what_is_fed_as_scores_is_what_values_are_multiplied_by():
    keras.utils.set_random_seed(2)
    start = keras.Input((4, 6), name="start")
    made = traced(keras.Model(start, layers.MultiHeadAttention(2, 3, name="attention")(start, start)))
    values = noise(2, 4, 6)
    itself = np.broadcast_to(np.eye(4, dtype=np.float32), (2, 2, 4, 4))
    layer = made.model.get_layer("attention")
    expected = layer.output_dense(layer.value_dense(values))
    actual = made.executable.run([values], made.taps("attention"), {made.index["attention@scores"]: itself})
    assert_close(actual[0], expected, 1e-5)


class ChannelAttention(layers.Layer):
    """Weights channels, and has no queries."""

    def call(self, values):
        return values * keras.ops.softmax(keras.ops.mean(values, 1))[:, None]


class AttentionBlock(layers.Layer):
    """Attention inside attention: the scores are of the layer inside."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = layers.MultiHeadAttention(2, 3, name="inner")

    def call(self, values):
        return self.inner(values, values)


def test_only_what_multiplies_values_by_scores_has_them():
    start = keras.Input((4, 6), name="start")
    hidden = AttentionBlock(name="block")(ChannelAttention(name="channels")(start))
    # Over two axes, Keras computes no softmax of its own.
    grid = layers.Reshape((2, 2, 6), name="grid")(hidden)
    both = layers.MultiHeadAttention(2, 3, attention_axes=(1, 2), name="both")(grid, grid)
    made = traced(keras.Model(start, layers.Softmax(name="soft")(both)))
    assert [tap.address for tap in made.taps("all@scores")] == ["block/inner@scores"]
