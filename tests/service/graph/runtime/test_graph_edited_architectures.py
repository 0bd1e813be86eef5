"""Edits in whole architectures and in models of every kind, compared with Keras' own layers run eagerly with the change between."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import assert_close, made_ready, nested_model, noise, scatter_statistics, traced
from keras import layers

from eager_reference import EagerReference
from layerscope.graph.edits import Edit
from layerscope.graph.saved.model import trace_saved_model
from layerscope.models.architectures import architectures

pytestmark = pytest.mark.wide

SIDE = 75


def change(edit):
    """What an edit does, written in numpy."""

    def changed(values):
        result = np.clip(values.numpy() * edit.scale + edit.shift, edit.low, edit.high)
        return tf.constant(result.astype(values.dtype.as_numpy_dtype))

    return changed


def assert_edited_as_in_keras(made, image, edits, fetched):
    """Edits by address; `fetched` lies behind all of them."""
    expected = EagerReference(
        made.model, image, changes={address: change(edit) for address, edit in edits.items()}
    ).values
    clean = made.value(fetched, on=[image])
    by_tap = {made.index[address]: edit for address, edit in edits.items()}
    (found,) = made.executable.run([image], [made.index[fetched]], edits=by_tap)
    assert np.abs(found - clean).max() > 1e-4 * np.abs(clean).max()
    assert_close(found, expected[fetched], 1e-5)


def behind(made, maps, tap):
    """A map some layers behind another, near enough that its values tell of a change there."""
    later = maps[maps.index(tap) + 3 :]
    return next(each for each in later if made.executable.inspection.depends(each, tap))


@pytest.mark.parametrize(
    "name",
    [
        "MobileNetV3Small",
        *(
            pytest.param(each, marks=pytest.mark.soak)
            for each in ("MobileNetV2", "EfficientNetB0", "DenseNet121", "ResNet50V2", "Xception")
        ),
    ],
)
def test_two_edits_of_which_one_depends_on_the_other(name):
    keras.utils.set_random_seed(1)
    model = architectures()[name](weights=None, input_shape=(SIDE, SIDE, 3), classes=7)
    made = traced(scatter_statistics(model))
    maps = [tap for tap in made.index.outputs() if len(tap.shape) == 3 and min(tap.shape[:2]) > 1]
    first = maps[len(maps) // 2]
    second = behind(made, maps, first)
    fetched = behind(made, maps, second)
    scale = np.ones(first.shape[-1], np.float32)
    scale[::2] = 0
    edits = {first.address: Edit(scale=scale), second.address: Edit(scale=0.5, shift=0.1)}
    image = np.random.default_rng(2).uniform(0, 255, (1, SIDE, SIDE, 3)).astype(np.float32)
    for some in ({first.address: edits[first.address]}, edits):
        assert_edited_as_in_keras(made, image, some, fetched.address)
    made.executable.close()
    keras.utils.clear_session()


def test_channels_first():
    keras.utils.set_random_seed(2)
    start = keras.Input((3, 9, 8), name="start")
    hidden = layers.Conv2D(5, 3, data_format="channels_first", activation="relu", name="conv")(start)
    hidden = layers.BatchNormalization(axis=1, name="norm")(hidden)
    hidden = layers.Conv2D(4, 2, data_format="channels_first", name="next")(hidden)
    made = traced(scatter_statistics(keras.Model(start, layers.Flatten(name="flat")(hidden))))
    scale = np.array([0, 1, 2, 1, 0], np.float32).reshape(5, 1, 1)
    edits = {"conv": Edit(scale=scale), "norm": Edit(shift=0.3, low=0.1)}
    assert_edited_as_in_keras(made, noise(1, 3, 9, 8), edits, "flat")


def test_a_nested_model_and_the_second_call_of_a_shared_one():
    keras.utils.set_random_seed(3)
    made = traced(nested_model())
    edit = Edit(scale=np.array([1, 0, 2, 1], np.float32), shift=0.2)
    for address in ("inner/conv", "middle/inner/conv"):
        assert_edited_as_in_keras(made, noise(1, 8, 8, 3), {address: edit}, "pool")


def test_a_saved_model(tmp_path):
    keras.utils.clear_session()
    keras.utils.set_random_seed(4)
    start = keras.Input((9, 9, 3), name="start")
    hidden = layers.Conv2D(6, 3, name="conv")(start)
    hidden = layers.ReLU(6.0, name="six")(layers.BatchNormalization(name="norm")(hidden))
    end = layers.Dense(3, activation="softmax", name="scores")(
        layers.GlobalAveragePooling2D(name="pool")(hidden)
    )
    model = scatter_statistics(keras.Model(start, end))
    model.export(tmp_path, verbose=False)
    made = made_ready(model, trace_saved_model(tmp_path))
    edits = {"conv": Edit(scale=2.0), "six": Edit(scale=np.array([0, 1, 1, 0, 1, 1], np.float32))}
    assert_edited_as_in_keras(made, noise(1, 9, 9, 3), edits, "scores")


def test_values_that_are_no_numbers_are_taken_away_before_a_network_reads_them():
    keras.utils.set_random_seed(5)
    start = keras.Input((8, 8, 3), name="start")
    hidden = layers.Conv2D(4, 3, name="conv")(start)
    hidden = layers.BatchNormalization(name="norm")(layers.ReLU(name="active")(hidden))
    end = layers.Dense(3, activation="softmax", name="scores")(layers.Flatten(name="flat")(hidden))
    model = scatter_statistics(keras.Model(start, end))
    kernel, bias = model.get_layer("conv").get_weights()
    bias[1], bias[2] = np.nan, np.inf
    model.get_layer("conv").set_weights([kernel, bias])
    made = traced(model)
    image = noise(1, 8, 8, 3)
    assert np.isnan(made.value("scores", on=[image])).all()
    gone = np.array([1, 0, 0, 1], np.float32)
    (found,) = made.executable.run(
        [image], [made.index["scores"]], edits={made.index["conv"]: Edit(scale=gone)}
    )
    expected = EagerReference(
        model, image, changes={"conv": lambda values: tf.where(gone > 0, values, 0.0)}
    ).values["scores"]
    assert np.isfinite(found).all()
    assert_close(found, expected, 1e-5)
