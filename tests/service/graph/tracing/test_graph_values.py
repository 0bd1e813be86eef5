"""Every layer's values are those that Keras computes eagerly, layer by layer."""

import keras
import numpy as np
import pytest
from graph_models import (
    assert_close,
    gru_model,
    nested_model,
    noise,
    residual_model,
    scatter_statistics,
    traced,
)
from keras import layers

from eager_reference import assert_same_as_keras
from layerscope.demo import MODELS


@pytest.fixture(scope="module")
def demo():
    return traced(keras.saving.load_model(MODELS / "digits" / "1" / "model.keras", compile=False))


@pytest.fixture(scope="module")
def mobilenet():
    keras.utils.set_random_seed(1)
    model = keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, weights=None, classes=20)
    return traced(scatter_statistics(model))


@pytest.fixture(scope="module")
def nested():
    keras.utils.set_random_seed(2)
    return traced(nested_model())


@pytest.mark.parametrize("batch", [1, 3])
def test_demo_model(demo, batch):
    assert_same_as_keras(demo, noise(batch, 28, 28, 1))


@pytest.mark.parametrize("batch", [1, 3])
def test_mobilenet(mobilenet, batch):
    assert_same_as_keras(mobilenet, noise(batch, 96, 96, 3))


@pytest.mark.parametrize("batch", [1, 3])
def test_nested_and_shared_models(nested, batch):
    assert_same_as_keras(nested, noise(batch, 8, 8, 3))


def test_addresses_of_nested_and_shared_models(nested):
    assert set(nested.addresses) >= {
        *("images", "squeeze", "squeeze:1", "middle", "middle/conv", "merged", "pool"),
        *("middle/inner", "middle/inner/conv", "middle/inner/bn", "inner", "inner/conv", "inner/bn"),
    }


def test_one_fetch_alone_equals_the_same_among_all(mobilenet):
    images = [noise(2, 96, 96, 3)]
    alone = mobilenet.value("block_6_expand_relu", on=images)
    among = mobilenet.values("all", on=images)["block_6_expand_relu"]
    assert_close(alone, among, 1e-5)


def test_two_inputs_and_two_outputs():
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    hidden = layers.Concatenate(name="both")(
        [layers.Dense(5, name="a")(left), layers.Dense(5, name="b")(right)]
    )
    first, second = layers.Dense(2, name="first")(hidden), layers.Dense(3, name="second")(hidden)
    made = traced(keras.Model([left, right], [first, second]))
    assert [each.name for each in made.trace.inputs] == ["left", "right"]
    assert [name for name, _ in made.trace.outputs] == ["first", "second"]
    assert {tap.address for tap in made.taps("outputs")} == {"first", "second"}
    assert [tap.address for tap in made.taps("input")] == ["left", "right"]
    assert_same_as_keras(made, [noise(2, 4), noise(2, 3, seed=1)])


def test_dictionaries_of_inputs_and_outputs():
    inputs = {"z": keras.Input((4,), name="z"), "a": keras.Input((3,), name="a")}
    z, a = layers.Dense(2, name="dz")(inputs["z"]), layers.Dense(2, name="da")(inputs["a"])
    made = traced(keras.Model(inputs, {"sum": layers.Add(name="add")([z, a]), "first": z}))
    by_name = {"z": noise(2, 4), "a": noise(2, 3, seed=1)}
    values = [by_name[each.name] for each in made.trace.inputs]
    expected = made.model(by_name)
    assert {name for name, _ in made.trace.outputs} == {"sum", "first"}
    for name, tap in made.trace.outputs:
        assert_close(made.executable.run(values, [tap])[0], expected[name])


def test_sequential_model():
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, 3, activation="relu", name="conv"),
            layers.Flatten(name="flat"),
        ]
    )
    made = traced(model)
    images = noise(2, 6, 6, 2)
    hidden = model.layers[0](images)
    assert_close(made.value("conv", on=[images]), hidden)
    assert_close(made.value("flat", on=[images]), model.layers[1](hidden))
    assert [tap.address for tap in made.taps("index:0", "index:-1")] == ["conv", "flat"]


def test_output_computed_by_plain_operations_of_the_graph():
    start = keras.Input((4,), name="start")
    made = traced(keras.Model(start, keras.ops.softmax(layers.Dense(3, name="dense")(start) * 2.0)))
    values = noise(2, 4)
    ((_, output),) = made.trace.outputs
    assert_close(made.executable.run([values], [output])[0], made.model(values))
    assert_same_as_keras(made, values)


def test_a_layer_that_passes_its_input_on_is_a_layer_too():
    keras.utils.set_random_seed(3)
    assert_same_as_keras(traced(residual_model()), noise(2, 6, 6, 4))


def test_recurrent_layers_are_reachable_and_their_cells_listed_as_not():
    # Keras numbers the names of cells, from the first of the process on.
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(4)
    steps = keras.Input((5, 3), name="steps")
    sequence, hidden, cell = layers.LSTM(4, return_sequences=True, return_state=True, name="lstm")(steps)
    both = layers.Bidirectional(layers.GRU(3, return_sequences=True), name="both")(sequence)
    attended = layers.MultiHeadAttention(2, 4, name="attention")(both, sequence)
    made = traced(keras.Model(steps, [attended, hidden, cell]))
    assert_same_as_keras(made, noise(2, 5, 3))
    assert {"lstm", "lstm:0.1", "lstm:0.2", "both", "both/forward_gru", "attention/query"} <= set(
        made.addresses
    )
    cells = {"lstm/lstm_cell", "both/forward_gru/gru_cell", "both/backward_gru/gru_cell"}
    assert set(made.trace.unreachable) == cells


def test_masks_of_sequences_survive():
    keras.utils.set_random_seed(5)
    words = keras.Input((6,), dtype="int32", name="words")
    hidden = layers.Embedding(9, 4, mask_zero=True, name="embedding")(words)
    hidden = layers.Dropout(0.5, name="drop")(hidden)
    made = traced(keras.Model(words, layers.LSTM(3, name="lstm")(hidden)))
    values = np.array([[1, 2, 3, 0, 0, 0], [4, 0, 5, 6, 7, 8]], np.int32)
    assert made.trace.inputs[0].dtype == "int32"
    assert_close(made.value("lstm", on=[values]), made.model(values))
    assert_close(made.value("embedding", on=[values]), made.model.get_layer("embedding")(values))


@pytest.mark.parametrize(
    ("policy", "delivered"), [("mixed_float16", "float16"), ("mixed_bfloat16", "float32")]
)
def test_mixed_precision_is_delivered_in_a_type_that_numpy_has(policy, delivered):
    keras.utils.set_random_seed(6)
    start = keras.Input((6, 6, 2), name="start")
    conv = layers.Conv2D(3, 3, activation="relu", dtype=policy, name="conv")
    made = traced(
        keras.Model(start, layers.Dense(2, dtype="float32", name="dense")(layers.Flatten()(conv(start))))
    )
    values = noise(2, 6, 6, 2)
    actual = made.value("conv", on=[values])
    assert actual.dtype == made.index["conv"].dtype == np.dtype(delivered)
    assert_close(actual.astype("float32"), keras.ops.cast(conv(values), "float32"), 1e-2)
    assert made.value("dense", on=[values]).dtype == np.float32


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_inputs_of_half_precision_take_float32(dtype):
    start = keras.Input((3,), dtype=dtype, name="start")
    made = traced(keras.Model(start, layers.Dense(2, dtype=dtype, name="dense")(start)))
    values = noise(2, 3)
    expected = keras.ops.cast(made.model(keras.ops.cast(values, dtype)), "float32")
    assert_close(made.value("dense", on=[values]).astype("float32"), expected, 2e-2)


def test_small_integers_as_input():
    start = keras.Input((4, 4, 1), dtype="uint8", name="start")
    made = traced(keras.Model(start, layers.Rescaling(1 / 255, name="scale")(start)))
    pixels = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1)
    assert made.value("start", on=[pixels]).dtype == np.uint8
    assert_close(made.value("scale", on=[pixels]), pixels / np.float32(255))


def test_the_channel_axis_follows_the_data_format():
    start = keras.Input((3, 8, 8), name="start")
    hidden = layers.ZeroPadding2D(data_format="channels_first", name="first")(start)
    hidden = layers.ReLU(name="relu")(hidden)
    last = layers.Permute((2, 3, 1), name="turned")(hidden)
    made = traced(keras.Model(start, layers.ZeroPadding2D(data_format="channels_last", name="last")(last)))
    axes = {address: made.index[address].channel_axis for address in ("first", "relu", "last")}
    assert axes == {"first": 0, "relu": 0, "last": 2}
    assert made.value("first", on=[noise(1, 3, 8, 8)]).shape == (1, 3, 10, 10)


def test_gated_unit_model():
    keras.utils.set_random_seed(7)
    assert_same_as_keras(traced(gru_model()), noise(3, 5, 3))
