"""SavedModel folders: their layers are found by name, and compute what Keras computes."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import (
    assert_close,
    backbone,
    gru_model,
    made_ready,
    nested_model,
    noise,
    residual_model,
    scatter_statistics,
)
from keras import layers

from eager_reference import EagerReference
from layerscope.graph.saved.model import trace_saved_model

pytestmark = pytest.mark.wide


def exported(model, folder):
    model.export(folder, verbose=False)
    return made_ready(model, trace_saved_model(folder))


def computed_by_keras(made, values):
    """What comes out of every call of a layer, by address."""
    found = EagerReference(made.model, values).outside(made.trace.unreachable)
    return {address: array for address, array in found.items() if "@" not in address}


@pytest.fixture(autouse=True)
def _same_weights_and_names_in_any_order():
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)


def convolutional_model():
    """One of each layer that is known by the operations inside it."""
    images = keras.Input((12, 12, 3), name="images")
    hidden = layers.Rescaling(1 / 255, name="rescaled")(images)
    hidden = layers.Normalization(mean=0.5, variance=4.0, name="centred")(hidden)
    hidden = layers.ZeroPadding2D(1, name="padded")(hidden)
    hidden = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(hidden)
    hidden = layers.BatchNormalization(name="normal")(hidden)
    hidden = layers.ReLU(6.0, name="six")(hidden)
    hidden = layers.SeparableConv2D(5, 3, activation="gelu", name="separable")(hidden)
    hidden = layers.MaxPooling2D(name="pooled")(hidden)
    hidden = layers.PReLU(shared_axes=[1, 2], name="bent")(hidden)
    hidden = layers.Conv2DTranspose(4, 2, strides=2, activation="swish", name="grown")(hidden)
    hidden = layers.UpSampling2D(name="doubled")(hidden)
    hidden = layers.LayerNormalization(name="levelled")(hidden)
    sums = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(hidden)
    tops = layers.GlobalMaxPooling2D(name="most")(hidden)
    both = layers.Add(name="added")([layers.Flatten(name="flat")(sums), tops])
    return scatter_statistics(keras.Model(images, layers.Dense(3, activation="softmax", name="scores")(both)))


def attention_model():
    words = keras.Input((6,), dtype="int32", name="words")
    hidden = layers.Embedding(9, 4, mask_zero=True, name="embedded")(words)
    hidden = layers.MultiHeadAttention(2, 3, name="attention")(hidden, hidden)
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both")(hidden)
    return keras.Model(words, layers.Dense(2, name="scores")(both))


TYPES = {
    "rescaled": "Rescaling",
    "centred": "Normalization",
    "padded": "ZeroPadding2D",
    "depthwise": "DepthwiseConv2D",
    "normal": "BatchNormalization",
    "six": "ReLU",
    "separable": "SeparableConv2D",
    "pooled": "MaxPooling2D",
    "bent": "PReLU",
    "grown": "Conv2DTranspose",
    "levelled": "LayerNormalization",
    "mean": "GlobalAveragePooling2D",
    "most": "GlobalMaxPooling2D",
    "flat": "Flatten",
    "added": "Add",
    "scores": "Dense",
}


@pytest.mark.parametrize(
    ("make", "values", "without_a_trace"),
    [
        (convolutional_model, noise(2, 12, 12, 3), set()),
        (residual_model, noise(2, 6, 6, 4), {"drop"}),
        (nested_model, noise(2, 8, 8, 3), {"add"}),
        (gru_model, noise(2, 5, 3), set()),
        (attention_model, np.array([[1, 2, 3, 0, 0, 0], [4, 5, 6, 7, 8, 0]], np.int32), {"not_equal"}),
    ],
)
def test_every_layer_computes_what_keras_computes(tmp_path, make, values, without_a_trace):
    made = exported(make(), tmp_path)
    expected, actual = computed_by_keras(made, values), made.values("all", on=[values])
    assert set(expected) - set(actual) == without_a_trace
    for address in expected.keys() & actual.keys():
        assert_close(actual[address], expected[address])
    (_, output), result = made.trace.outputs[0], made.model(values)
    assert_close(made.value(output.address, on=[values]), result)


def test_layers_have_their_place_type_shape_and_parameters(tmp_path):
    made = exported(convolutional_model(), tmp_path)
    taps = {tap.address: tap for tap in made.index.outputs()}
    assert {address: taps[address].layer.type for address in TYPES} == TYPES
    for place, layer in enumerate(made.model.layers):
        tap = taps[layer.name]
        assert (tap.layer.index, tap.layer.parameters) == (place, layer.count_params())
        assert tap.shape == layer.output.shape[1:]
    assert taps["added"].layer.inbound == ("flat", "most")
    assert sum(variable.size for _, variable in made.trace.captures) == made.model.count_params()


def test_inputs_and_outputs_have_the_names_of_the_signature(tmp_path):
    left, right = keras.Input((4,), name="left"), keras.Input((3,), dtype="int32", name="right")
    hidden = layers.Dense(5, name="hidden")(left)
    joined = layers.Concatenate(name="joined")([hidden, keras.ops.cast(right, "float32")])
    outputs = {"what": layers.Dense(2, name="first")(joined), "where": layers.Softmax(name="second")(joined)}
    made = exported(keras.Model({"left": left, "right": right}, outputs), tmp_path)
    inputs = [noise(2, 4), np.arange(6, dtype=np.int32).reshape(2, 3)]
    assert [(each.name, each.shape, each.dtype) for each in made.trace.inputs] == [
        ("left", (4,), "float32"),
        ("right", (3,), "int32"),
    ]
    expected = made.model({"left": inputs[0], "right": inputs[1]})
    taps = [tap for _, tap in made.trace.outputs]
    assert [(name, tap.address) for name, tap in made.trace.outputs] == [
        ("what", "first"),
        ("where", "second"),
    ]
    for (name, _), array in zip(made.trace.outputs, made.executable.run(inputs, taps), strict=True):
        assert_close(array, expected[name])


class Block(layers.Layer):
    def __init__(self, width, **options):
        super().__init__(**options)
        self.first = layers.Conv2D(width, 3, padding="same", activation="relu", name="first")
        self.second = layers.Conv2D(width, 3, padding="same", name="second")

    def call(self, images):
        return self.second(self.first(images)) * 0.5


class Net(keras.Model):
    def __init__(self):
        super().__init__(name="net")
        self.blocks = [Block(4, name=f"block_{number}") for number in (1, 2)]
        self.scores = layers.Dense(3, name="scores")

    def call(self, images):
        hidden = images
        for block in self.blocks:
            hidden = block(hidden)
        return keras.ops.softmax(self.scores(keras.ops.mean(hidden, (1, 2))))


def test_a_subclassed_model_needs_no_plugin(tmp_path):
    values, model = noise(2, 8, 8, 3), Net()
    model(values)
    made = exported(model, tmp_path)
    first, second = model.blocks
    actual = made.values("all", on=[values])
    assert_close(actual["block_1/first"], first.first(values))
    assert_close(actual["block_1"], first(values))
    assert_close(actual["block_2"], second(first(values)))
    assert made.index["block_2"].layer.is_group
    (name, output) = made.trace.outputs[0]
    assert output.address == name
    assert_close(made.value(name, on=[values]), model(values))


def test_mixed_precision(tmp_path):
    start = keras.Input((6, 6, 2), name="start")
    conv = layers.Conv2D(3, 3, activation="relu", dtype="mixed_bfloat16", name="conv")
    flat = layers.Flatten(name="flat")(conv(start))
    made = exported(keras.Model(start, layers.Dense(2, dtype="float32", name="dense")(flat)), tmp_path)
    values = noise(2, 6, 6, 2)
    actual = made.values("conv", "dense", on=[values])
    assert actual["conv"].dtype == actual["dense"].dtype == np.float32
    assert_close(actual["conv"], keras.ops.cast(conv(values), "float32"), 1e-2)
    assert_close(actual["dense"], made.model(values), 1e-2)


def test_channels_that_come_first(tmp_path):
    start = keras.Input((3, 8, 8), name="start")
    hidden = layers.Conv2D(5, 3, data_format="channels_first", name="conv")(start)
    hidden = layers.ReLU(name="active")(hidden)
    last = layers.Permute((2, 3, 1), name="turned")(hidden)
    made = exported(keras.Model(start, layers.Conv2D(2, 1, name="end")(last)), tmp_path)
    axes = {address: made.index[address].channel_axis for address in ("conv", "active", "end")}
    assert axes == {"conv": 0, "active": 0, "end": 2}
    values = noise(2, 3, 8, 8)
    for address, expected in computed_by_keras(made, values).items():
        assert_close(made.value(address, on=[values]), expected)


def test_images_of_any_size_in_batches_of_any_size(tmp_path):
    made = exported(backbone("net"), tmp_path)
    for shape in [(1, 5, 7, 3), (3, 9, 4, 3)]:
        assert_close(made.value("bn", on=[noise(*shape)]), made.model(noise(*shape)))


def test_values_that_mix_the_images_of_a_batch_are_those_of_each_alone(tmp_path):
    class Turned(layers.Layer):
        def call(self, rows):
            return keras.ops.transpose(rows, (1, 0, 2))

    start = keras.Input((5, 3), name="start")
    turned = Turned(name="turned")(start)
    back = Turned(name="back")(layers.ReLU(name="active")(turned))
    made = exported(keras.Model(start, layers.Dense(2, name="end")(back)), tmp_path)
    values = noise(2, 5, 3)
    actual = made.value("turned", on=[values])
    for image in range(2):
        assert_close(actual[image], values[image : image + 1].transpose(1, 0, 2))
    assert_close(made.value("end", on=[values]), made.model(values))


@pytest.fixture
def residual(tmp_path):
    return exported(residual_model(), tmp_path)


IMAGES = noise(3, 6, 6, 4)


def test_sites(residual):
    values = residual.values("stem@preactivation", "stem", "add@input", "add:0.1@input", on=[IMAGES])
    assert (values["stem@preactivation"] < 0).any()
    assert_close(values["stem"], np.maximum(values["stem@preactivation"], 0), 1e-6)
    np.testing.assert_array_equal(values["add@input"], values["stem"])
    assert_close(values["add:0.1@input"], residual.value("branch", on=[IMAGES]))
    assert [tap.address for tap in residual.taps("all@preactivation")] == [
        "stem@preactivation",
        "scores@preactivation",
    ]


def by_hand(values):
    return values * keras.ops.sigmoid(values)


@pytest.mark.parametrize("function", ["relu", "gelu", "swish", "softmax", "leaky_relu", by_hand])
def test_the_preactivation_is_what_the_activation_function_gets(tmp_path, function):
    start = keras.Input((6,), name="start")
    made = exported(keras.Model(start, layers.Dense(5, activation=function, name="dense")(start)), tmp_path)
    values = made.values("dense@preactivation", "dense", on=[noise(3, 6)])
    assert_close(values["dense@preactivation"], noise(3, 6) @ made.model.get_layer("dense").kernel)
    activation = keras.activations.get(function)
    assert_close(values["dense"], activation(keras.ops.convert_to_tensor(values["dense@preactivation"])))


def end(model, added):
    return model.get_layer("scores")(model.get_layer("flat")(model.get_layer("active")(added)))


@pytest.mark.parametrize("address", ["stem", "branch@input", "add"])
def test_feeds(residual, address):
    replaced, model = noise(3, 6, 6, 4, seed=9), residual.model
    branch, stem = model.get_layer("branch"), model.get_layer("stem")
    expected = {
        "stem": replaced + branch(replaced),
        "branch@input": stem(IMAGES) + branch(replaced),
        "add": replaced,
    }
    feeds = {residual.index[address]: replaced}
    actual = residual.executable.run([IMAGES], residual.taps("scores"), feeds)
    assert_close(actual[0], end(model, expected[address]))


@pytest.mark.parametrize("unit", [None, 2])
@pytest.mark.parametrize("address", ["stem", "branch@input"])
def test_gradients(residual, address, unit):
    model = residual.model
    stem = model.get_layer("stem")(IMAGES)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(stem)
        into_branch = tf.identity(stem)
        scores = end(model, stem + model.get_layer("branch")(into_branch))
        target = scores if unit is None else scores[:, unit]
    gradient = residual.gradient([IMAGES], residual.index["scores"], residual.index[address], unit)
    expected = tape.gradient(target, {"stem": stem, "branch@input": into_branch}[address])
    assert np.abs(gradient - expected).max() <= 1e-5 * max(np.abs(expected).max(), 1e-2)


@pytest.fixture
def _plain_loops():
    """Loops as they are saved where nobody asks for their gradients; other tests leave TensorFlow otherwise."""
    tf.compat.v1.experimental.output_all_intermediates(False)
    yield
    tf.compat.v1.experimental.output_all_intermediates(None)


@pytest.mark.usefixtures("_plain_loops")
def test_gradients_through_a_loop(tmp_path):
    made, steps = exported(gru_model(), tmp_path), noise(2, 5, 3)
    assert made.trace.unreachable == ("gru/gru_cell",)
    model = made.model
    with tf.GradientTape() as tape:
        hidden = model.get_layer("embed")(steps)
        tape.watch(hidden)
        scores = model.get_layer("head")(model.get_layer("gru")(hidden))
    assert_close(made.value("head", on=[steps]), scores)
    gradient = made.gradient([steps], made.index["head"], made.index["embed"])
    assert_close(gradient, tape.gradient(scores, hidden), 1e-5)
    assert_close(made.value("head", on=[steps]), scores)


KERAS_2 = Path(__file__).parents[3] / "data" / "keras_2_savedmodel"


def test_a_folder_of_keras_2_that_tensorflow_can_restore_only_where_keras_2_is_installed(recwarn):
    folder = KERAS_2 / "model.savedmodel"
    made, expected = made_ready(None, trace_saved_model(folder)), dict(np.load(KERAS_2 / "values.npz"))
    images = expected.pop("images")
    actual = made.values("all", on=[images])
    assert actual.keys() - expected.keys() == {"images", "backbone", "backbone:1"}
    for address, values in expected.items():
        assert_close(actual[address], values)
    np.testing.assert_array_equal(actual["backbone:1"], actual["backbone/bn:1"])
    assert [(name, tap.address) for name, tap in made.trace.outputs] == [("scores", "scores")]
    assert made.index["backbone"].layer.is_group
    # The optimizer has three times as many.
    assert sum(variable.size for _, variable in made.trace.captures) == 124
