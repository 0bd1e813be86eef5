"""Attention scores in SavedModels: those that Keras gives, of every layer that multiplies queries by keys."""

import keras
import numpy as np
import pytest
from graph_models import assert_close, made_ready, noise
from keras import layers
from kinds_of_models import masked_attention

import hub_models
from attention_reference import scores_of_keras
from layerscope.errors import LayerNotFound
from layerscope.graph.saved.model import trace_saved_model


def gpt2():
    ids = np.array([[5, 6, 7, 0, 0], [9, 8, 7, 6, 5]], np.int32)
    return hub_models.MODELS["gpt2"](), {"token_ids": ids, "padding_mask": (ids > 0).astype(np.int32)}


@pytest.mark.parametrize(
    ("make", "addresses"),
    [
        (masked_attention, {"several", "grouped", "plain"}),
        pytest.param(
            gpt2,
            {"transformer_layer_0/self_attention", "transformer_layer_1/self_attention"},
            marks=pytest.mark.wide,
        ),
    ],
)
def test_scores_are_those_that_keras_gives(tmp_path, make, addresses):
    keras.utils.set_random_seed(1)
    model, inputs = make()
    model.export(tmp_path, verbose=False)
    made = made_ready(model, trace_saved_model(tmp_path))
    arrays = [inputs[each.name] for each in made.trace.inputs] if isinstance(inputs, dict) else [inputs]
    actual, expected = made.values("all@scores", on=arrays), scores_of_keras(model, inputs)
    assert actual.keys() == {f"{address}@scores" for address in addresses}
    for address, scores in actual.items():
        assert made.index[address].axes == ("heads", "query", "key")[-scores.ndim + 1 :]
        np.testing.assert_allclose(scores.sum(-1), 1, atol=1e-6)
        may_attend = expected[address].sum(-1) > 0
        np.testing.assert_allclose(scores[may_attend], expected[address][may_attend], atol=1e-6)
    (_, output), *_ = made.trace.outputs
    assert_close(made.value(output.address, on=arrays), keras.tree.flatten(model(inputs))[0], 1e-5)


def test_what_is_fed_as_scores_is_what_values_are_multiplied_by(tmp_path):
    keras.utils.set_random_seed(2)
    start = keras.Input((4, 6), name="start")
    # With dropout, the softmax is a layer inside of the layer.
    attention = layers.MultiHeadAttention(2, 3, dropout=0.5, name="attention")
    model = keras.Model(start, attention(start, start))
    model.export(tmp_path, verbose=False)
    made, values = made_ready(model, trace_saved_model(tmp_path)), noise(2, 4, 6)
    itself = np.broadcast_to(np.eye(4, dtype=np.float32), (2, 2, 4, 4))
    layer = model.get_layer("attention")
    expected = layer.output_dense(layer.value_dense(values))
    actual = made.executable.run([values], made.taps("attention"), {made.index["attention@scores"]: itself})
    assert_close(actual[0], expected, 1e-5)


class Clusters(layers.Layer):
    """Assigns places to clusters by weights, and sums them up: no queries, and no keys."""

    def __init__(self, **options):
        super().__init__(**options)
        self.assign = layers.Dense(3, name="assign")

    def call(self, places):
        shares = keras.ops.softmax(self.assign(places))
        return keras.ops.matmul(keras.ops.transpose(shares, (0, 2, 1)), places)


def test_a_softmax_of_weights_is_no_attention(tmp_path):
    start = keras.Input((5, 4), name="start")
    model = keras.Model(start, Clusters(name="clusters")(start))
    model.export(tmp_path, verbose=False)
    with pytest.raises(LayerNotFound):
        made_ready(model, trace_saved_model(tmp_path)).taps("all@scores")


@pytest.mark.wide
def test_folders_of_keras_2_tell_which_layers_are_attention(keras_2_files):
    made = made_ready(None, trace_saved_model(keras_2_files / "attended.savedmodel"))
    arrays = [noise(2, *each.shape) for each in made.trace.inputs]
    scores = made.values("all@scores", on=arrays)
    assert scores.keys() == {"plain@scores", "additive@scores", "several@scores"}
    for values in scores.values():
        np.testing.assert_allclose(values.sum(-1), 1, atol=1e-6)
