"""HDF5 files in the words of Keras 2: what is read as it was meant, and what is refused with advice."""

import json

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from layerscope.errors import ModelRefused
from layerscope.models.formats import open_model


def model_of(*shape, chain):
    keras.utils.set_random_seed(0)
    start = keras.Input(shape, name="start")
    hidden = start
    for layer in chain:
        hidden = layer(hidden)
    return keras.Model(start, hidden)


def images():
    return model_of(
        *(8, 8, 3),
        chain=[
            layers.Conv2D(3, 3, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.Conv2DTranspose(3, 3, name="transpose"),
            layers.Flatten(name="flat"),
            layers.Dense(2, name="dense"),
        ],
    )


def steps():
    return model_of(
        *(5, 3),
        chain=[
            layers.DepthwiseConv1D(3, name="depthwise"),
            layers.LSTM(3, return_sequences=True, name="lstm"),
            layers.GRU(2, reset_after=False, name="gru"),
        ],
    )


def chain():
    keras.utils.set_random_seed(0)
    inner = keras.Sequential(
        [keras.Input((6, 6, 4)), layers.Conv2D(2, 3, name="inner"), layers.Flatten(name="flat")]
    )
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv"), inner])


def saved(path, model, edit=lambda config: None):
    """Save a model as HDF5, with its configuration edited."""
    model.save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        edit(config)
        file.attrs["model_config"] = json.dumps(config)
    return path


def arguments(*classes, **more):
    def edit(config):
        for layer in config["config"]["layers"]:
            if layer["class_name"] in classes:
                layer["config"].update(more)

    return edit


def classes_called(**names):
    def edit(config):
        for layer in config["config"]["layers"]:
            layer["class_name"] = names.get(layer["class_name"], layer["class_name"])

    return edit


def without_input_layers(config):
    """As Keras wrote sequential models before 2.4."""
    start, first, *others = config["config"]["layers"]
    first["config"]["batch_input_shape"] = start["config"]["batch_shape"]
    config["config"]["layers"] = [first, *others]
    for layer in others:
        if layer["class_name"] == "Sequential":
            without_input_layers(layer)


def only_a_list(config):
    """As Keras wrote sequential models before 2.2.3."""
    without_input_layers(config)
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "Sequential":
            layer["config"] = layer["config"]["layers"]
    config["config"] = config["config"]["layers"]


@pytest.mark.parametrize("suffix", ["h5", "hdf5"])
@pytest.mark.parametrize(
    ("make", "edit"),
    [
        (images, arguments("Conv2D", "DepthwiseConv2D", "Conv2DTranspose", groups=1)),
        (images, arguments("BatchNormalization", axis=[3], renorm=False, virtual_batch_size=None)),
        (images, classes_called(BatchNormalization="BatchNormalizationV1")),
        (images, arguments("Conv2D", batch_input_shape=[None, 8, 8, 3])),
        (steps, arguments("LSTM", "GRU", time_major=False, implementation=2)),
        (steps, arguments("DepthwiseConv1D", groups=1)),
        (chain, without_input_layers),
        (chain, only_a_list),
    ],
)
def test_what_keras_2_wrote_is_read_as_it_was_meant(tmp_path, make, edit, suffix):
    model = make()
    opened = open_model(saved(tmp_path / f"model.{suffix}", model, edit))
    assert names(opened) == names(model)
    values = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype(np.float32)
    np.testing.assert_array_equal(opened(values), model(values))


def names(model):
    """Of all layers that are no models: a list of layers had no name."""
    inside = model._flatten_layers(include_self=False)
    return [layer.name for layer in inside if not isinstance(layer, (keras.Model, layers.InputLayer))]


def test_how_it_was_trained_is_not_read(tmp_path):
    model = images()
    path = saved(tmp_path / "model.h5", model)
    with h5py.File(path, "r+") as file:
        optimizer = {"class_name": "Adam", "config": {"lr": 0.1, "decay": 0.1, "epsilon": None}}
        file.attrs["training_config"] = json.dumps({"optimizer_config": optimizer, "loss": "a_loss_of_mine"})
        file.create_group("optimizer_weights").attrs["weight_names"] = ["unheard of"]
    before = path.read_bytes()
    values = np.ones((1, 8, 8, 3), np.float32)
    np.testing.assert_array_equal(open_model(path)(values), model(values))
    assert path.read_bytes() == before


def test_a_file_of_weights_alone(tmp_path):
    images().save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ModelRefused, match=r"holds nothing but weights: save the whole model with"):
        open_model(tmp_path / "model.weights.h5")


@pytest.mark.parametrize(
    ("make", "edit", "words"),
    [
        (images, arguments("Conv2D", invented=1), "another version of Keras"),
        (steps, arguments("LSTM", time_major=True), "another version of Keras"),
        (images, arguments("Conv2D", name="block/conv"), "slash in its name"),
        (images, classes_called(Flatten="Unheard"), "name a plugin that defines it"),
        (images, arguments("Dense", activation="unheard"), "name a plugin that defines it"),
        (images, classes_called(Flatten="TFOpLambda"), "save it as a SavedModel folder"),
        (images, classes_called(Flatten="SlicingOpLambda"), "save it as a SavedModel folder"),
    ],
)
def test_what_is_refused_says_what_to_do(tmp_path, make, edit, words):
    with pytest.raises(ModelRefused, match=words) as raised:
        open_model(saved(tmp_path / "model.h5", make(), edit))
    assert "model.h5" not in raised.value.message
