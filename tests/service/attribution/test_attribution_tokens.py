"""Attributions of vision transformers: maps of tokens, without the class token, against TensorFlow's own gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from layerscope.attribution import METHODS
from layerscope.attribution.target_layers import why_no_attribution
from layerscope.errors import LayerscopeError, NoPicture, NotDifferentiable
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from saved_models import engine_over, save_models

ROWS, COLUMNS, WIDTH = 3, 5, 8
IMAGE = np.random.default_rng(1).uniform(-1, 1, (1, 4 * ROWS, 4 * COLUMNS, 3)).astype(np.float32)


def block(tokens, number):
    normal = layers.LayerNormalization(name=f"normal_{number}")(tokens)
    attention = layers.MultiHeadAttention(2, 4, name=f"attention_{number}")
    mixed = layers.Add(name=f"mixed_{number}")([tokens, attention(normal, normal)])
    hidden = layers.Dense(WIDTH, activation="gelu", name=f"hidden_{number}")(mixed)
    return layers.Add(name=f"end_{number}")([mixed, hidden])


def transformer(name, head):
    image = keras.Input((4 * ROWS, 4 * COLUMNS, 3), name="picture")
    patches = layers.Conv2D(WIDTH, 4, 4, name="patches")(image)
    tokens = layers.Reshape((-1, WIDTH), name="tokens")(patches)
    tokens = ops.pad(tokens, [[0, 0], [1, 0], [0, 0]])
    places = layers.Embedding(1 + ROWS * COLUMNS, WIDTH, name="places")(ops.arange(1 + ROWS * COLUMNS))
    tokens = layers.Add(name="placed")([tokens, ops.expand_dims(places, 0)])
    end = layers.LayerNormalization(name="last")(block(block(tokens, 0), 1))
    return keras.Model(image, layers.Dense(3, name="kind")(head(end)), name=name)


def convolution_within_windows():
    """The pixels of each window of 4 x 4 come one after another, as in shifted-window transformers."""
    image = keras.Input((4 * ROWS, 4 * COLUMNS, 3), name="picture")
    maps = layers.Conv2D(WIDTH, 3, padding="same", name="before")(image)
    windows = layers.Permute((1, 3, 2, 4, 5))(layers.Reshape((ROWS, 4, COLUMNS, 4, WIDTH))(maps))
    inside = layers.Conv2D(4, 3, name="inside")(layers.Reshape((4 * ROWS * COLUMNS, 4, WIDTH))(windows))
    pooled = layers.GlobalAveragePooling2D(name="pool")(inside)
    return keras.Model(image, layers.Dense(3, name="kind")(pooled), name="in_windows")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    keras.utils.set_random_seed(5)
    models = {
        "by_class": transformer("by_class", lambda tokens: tokens[:, 0]),
        "by_mean": transformer("by_mean", layers.GlobalAveragePooling1D(name="pool")),
        "in_windows": convolution_within_windows(),
    }
    directory = tmp_path_factory.mktemp("transformers")
    save_models(directory, models)
    with engine_over(directory) as engine:
        yield engine, models


def explained(engine, name, method, **options):
    query = Query(
        model=name,
        sources={"picture": [TensorSource(IMAGE)]},
        methods={method: METHODS[method].options(**options)},
    )
    return engine.run(query).attribution(method)


@pytest.mark.parametrize(("name", "layer"), [("by_class", "normal_1"), ("by_mean", "last")])
def test_the_default_map_is_that_of_the_last_tokens_that_an_output_reads(served, name, layer):
    engine, models = served
    found = explained(engine, name, "gradcam", target="1")
    assert found.target_layer.address == layer

    both = keras.Model(models[name].input, [models[name].get_layer(layer).output, models[name].output])
    with tf.GradientTape() as tape:
        values = tf.constant(IMAGE)
        tape.watch(values)
        tokens, scores = both(values, training=False)
        score = scores[:, 1]
    maps, slopes = (
        each.numpy()[:, 1:].reshape(1, ROWS, COLUMNS, WIDTH)
        for each in (tokens, tape.gradient(score, tokens))
    )
    expected = np.maximum(np.einsum("nyxk,nk->nyx", maps, slopes.mean((1, 2))), 0)
    assert expected.max() > 0
    np.testing.assert_allclose(found.maps, expected, rtol=0, atol=1e-4 * expected.max())


@pytest.mark.parametrize(
    ("layer", "error", "words"),
    [
        ("attention_0/query", NoPicture, "Its axes are tokens, heads, channels: it is no map"),
        ("last", NotDifferentiable, "No output is computed from the tokens that are its map"),
        ("kind", NoPicture, "Its axes are channels"),
    ],
)
def test_what_is_no_map_or_is_not_read_is_refused_with_the_reason(served, layer, error, words):
    with pytest.raises(error, match=words):
        explained(served[0], "by_class", "gradcam", layer=layer)


def test_the_default_map_is_never_one_of_shuffled_places(served):
    assert explained(served[0], "in_windows", "gradcam", target="1").target_layer.address == "before"
    with pytest.raises(NoPicture, match="cannot be told from the graph"):
        explained(served[0], "in_windows", "gradcam", target="1", layer="inside")


@pytest.mark.parametrize("name", ["by_class", "by_mean", "in_windows"])
@pytest.mark.parametrize("method", ["gradcam", "eigencam"])
def test_a_layer_is_said_to_have_a_map_exactly_where_it_has_one(served, name, method):
    engine, _ = served
    described = engine.describe(name)
    for tap in described.taps.outputs():
        try:
            explained(engine, name, method, layer=tap.address)
            is_answered = True
        except LayerscopeError:
            is_answered = False
        reason = why_no_attribution(described, METHODS[method], tap)
        assert is_answered == (reason is None), (tap.address, reason)


def test_a_covered_patch_changes_the_token_of_its_place(served):
    """The map of tokens has the places of the image."""
    engine, _ = served
    covered = IMAGE.copy()
    covered[:, 4:8, 12:16] = 0
    first, second = (
        engine.run(
            Query(model="by_mean", sources={"picture": [TensorSource(image)]}, layers=("placed",))
        ).activations["placed"]
        for image in (IMAGE, covered)
    )
    changed = np.abs(first.folded().values - second.folded().values).max(axis=-1)[0] > 0
    assert np.argwhere(changed).tolist() == [[1, 3]]
