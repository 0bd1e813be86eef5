"""M10 and M11: every model that people build is accepted, and the fresh file of it answers the same bits."""

import h5py
import keras
import numpy as np
import pytest
from hostile_files import layer_called, with_config, with_weights
from keras import layers
from keras_layers import BRANCHES
from kinds_of_models import HALF, KINDS, of_precision
from model_files import separable_model, tiny_model

from layerscope.errors import LayerscopeError
from layerscope.limits import Limits
from layerscope.models.formats import open_model
from layerscope.models.validation import validate

LIMITS = Limits()
NOT_READ_BY_KERAS = {"models_in_models", "RandomShear"}
"""What Keras 3.15 writes and cannot open again itself: a model shared by two others, and a layer with two ranges."""

OWN_CLASSES = {
    *("vision_transformer", "images_mixed", "images_mixed_out_of_sight"),
    *("time_first", "three_in_front", "windows_in_the_batch"),
}
"""Kinds of models with layers of a class of their own, which come with a plugin and not with an upload."""


def fresh_of(model, tmp_path, suffix=".keras"):
    path = tmp_path / f"came{suffix}"
    model.save(path)
    report = validate(path, tmp_path / f"fresh{suffix}", LIMITS)
    assert sorted(each.name for each in tmp_path.iterdir()) == [f"came{suffix}", f"fresh{suffix}"]
    return report, open_model(tmp_path / f"fresh{suffix}")


def assert_same(model, other, values):
    expected, actual = keras.tree.flatten(model(values)), keras.tree.flatten(other(values))
    assert len(expected) == len(actual)
    for one, two in zip(expected, actual, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "make",
    [each for each in KINDS if each.__name__ not in OWN_CLASSES | NOT_READ_BY_KERAS]
    + [of_precision(policy) for policy in HALF],
    ids=lambda make: make.__name__,
)
def test_m11_every_kind_of_model(tmp_path, make):
    model, values = make()
    report, opened = fresh_of(model, tmp_path)
    stored = sum(int(np.prod(each.shape)) for each in model.weights)
    assert report.parameters == stored
    assert len(report.inputs) == len(model.inputs)
    assert_same(model, opened, values)


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.__name__)
def test_m11_every_layer_of_keras(tmp_path, branch):
    shape, dtype = BRANCHES[branch]
    start = keras.Input(shape, dtype=dtype, name="start")
    left_out = NOT_READ_BY_KERAS | {"Lambda"}
    made = [layer for layer in branch() if type(layer).__name__ not in left_out]
    outputs = keras.tree.flatten([layer(start) for layer in made])
    report, opened = fresh_of(keras.Model(start, outputs), tmp_path)
    assert sum(report.layers.values()) >= len(made)
    assert len(keras.tree.flatten(opened.outputs)) == len(outputs)


@pytest.mark.parametrize("make", [tiny_model, separable_model])
def test_m11_legacy_files(tmp_path, make):
    model = make()
    path = tmp_path / "came.h5"
    model.save(path)
    report = validate(path, tmp_path / "fresh.h5", LIMITS)
    assert report.kind == "hdf5"
    assert report.parameters == model.count_params()
    assert_same(model, open_model(tmp_path / "fresh.h5"), np.ones((2, *model.input_shape[1:]), np.float32))


def test_m11_a_compiled_and_trained_model_leaves_its_training_behind(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, kernel_regularizer="l2", activation="relu")])
    model.compile("adam", "mse", metrics=["mae"])
    values = np.ones((8, 4), np.float32)
    model.fit(values, np.ones((8, 3), np.float32), verbose=0)
    report, opened = fresh_of(model, tmp_path)
    assert report.parameters == 15
    assert_same(model, opened, values)
    assert b"optimizer" not in (tmp_path / "fresh.keras").read_bytes()


def test_the_same_parts_make_the_same_bytes(tmp_path):
    tiny_model().save(tmp_path / "came.keras")
    for name in ("one", "two"):
        validate(tmp_path / "came.keras", tmp_path / f"{name}.keras", LIMITS)
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "two.keras").read_bytes()
    again = validate(tmp_path / "one.keras", tmp_path / "three.keras", LIMITS)
    assert (tmp_path / "three.keras").read_bytes() == (tmp_path / "one.keras").read_bytes()
    assert again.warnings == ()


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_m10_weights_that_are_no_numbers(tmp_path, suffix):
    path = tmp_path / f"came{suffix}"
    tiny_model().save(path)

    def spoil(file):
        where = "layers/conv2d/vars/0" if suffix == ".keras" else "model_weights/conv/conv/kernel"
        file[where][0] = np.nan

    with_weights(path, spoil)
    report = validate(path, tmp_path / f"fresh{suffix}", LIMITS)
    assert any("NaN" in each and "conv" in each for each in report.warnings)
    values = open_model(tmp_path / f"fresh{suffix}")(np.ones((1, 8, 8, 3), np.float32))
    assert np.isnan(np.asarray(values)).all()


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_nothing_that_was_hidden_is_in_the_fresh_file(tmp_path, suffix):
    path = tmp_path / f"came{suffix}"
    tiny_model().save(path)

    def hide(file):
        file.attrs["note"] = "hidden-in-an-attribute"
        file.create_dataset("optimizer/hidden-in-a-group", data=np.ones(9))

    with_weights(path, hide)
    validate(path, tmp_path / f"fresh{suffix}", LIMITS)
    assert b"hidden-in" in path.read_bytes()
    assert b"hidden-in" not in (tmp_path / f"fresh{suffix}").read_bytes()


def test_nothing_is_left_when_one_is_refused(tmp_path):
    path = tmp_path / "came.keras"
    tiny_model().save(path)
    with_config(path, lambda config: layer_called(config, "conv").update(class_name="Evil"))
    with pytest.raises(LayerscopeError):
        validate(path, tmp_path / "fresh.keras", LIMITS)
    assert [each.name for each in tmp_path.iterdir()] == ["came.keras"]


def test_compressed_weights_are_written_out(tmp_path):
    path = tmp_path / "came.keras"
    model = tiny_model()
    model.save(path)

    def compress(file):
        values = file["layers/conv2d/vars/0"][()]
        del file["layers/conv2d/vars/0"]
        file.create_dataset("layers/conv2d/vars/0", data=values, compression="gzip", shuffle=True)

    with_weights(path, compress)
    validate(path, tmp_path / "fresh.keras", LIMITS)
    assert_same(model, open_model(tmp_path / "fresh.keras"), np.ones((1, 8, 8, 3), np.float32))


def test_a_legacy_file_with_more_layers_than_one_attribute_holds(tmp_path):
    """HDF5 keeps no attribute above 64 KiB in an object's header, so Keras takes long lists of names apart."""
    start = keras.Input((2,), name="start")
    hidden = start
    for number in range(70):
        hidden = layers.ReLU(name=f"{'long' * 240}_{number}")(hidden)
    model = keras.Model(start, hidden)
    model.save(tmp_path / "came.h5")
    with h5py.File(tmp_path / "came.h5") as file:
        assert "layer_names0" in file["model_weights"].attrs
    validate(tmp_path / "came.h5", tmp_path / "fresh.h5", LIMITS)
    assert_same(model, open_model(tmp_path / "fresh.h5"), np.ones((1, 2), np.float32))
