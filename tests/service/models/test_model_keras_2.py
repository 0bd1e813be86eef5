"""Files of Keras 2: which they are, the words that its last version does not read, and what is refused with advice."""

import io
import json
import re
import shutil
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras_2_edits import called, edited

from layerscope.errors import ModelRefused
from layerscope.models.formats import open_model
from layerscope.models.keras2.versions import is_of_keras_2

pytestmark = pytest.mark.wide


def result(folder, name, model):
    """What a model computes from the inputs of the reference, and what Keras 2 computed."""
    with np.load(folder / f"{name}.npz") as file:
        return np.asarray(model(file["arr_0"], training=False)), file["output 0"]


def only_a_list(config):
    """As Keras wrote sequential models before 2.2.3, with the shape of the input at the first layer."""
    config["config"] = config["config"]["layers"][1:]


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("steps", called("lstm", "UnifiedLSTM")),
        ("steps", called("gru", time_major=False, implementation=2)),
        ("chain", called("flat", "Flatten", data_format="channels_last")),
        ("chain", only_a_list),
        ("chain", called("bent", alpha={"type": "ndarray", "value": 0.25})),
        ("chain", called("bent", alpha={"type": "float32", "value": 0.25})),
    ],
)
def test_words_of_older_versions_are_read_as_they_were_meant(keras_2_files, tmp_path, name, edit):
    path = edited(keras_2_files / f"{name}.h5", tmp_path / "model.h5", edit)
    actual, expected = result(keras_2_files, name, open_model(path))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("version", ["2.12.0", "2.13.1", "2.14.0", "2.15.0"])
def test_archives_of_every_version(keras_2_files, tmp_path, version):
    as_written(keras_2_files / "chain.keras", tmp_path / "model.keras", version)
    actual, expected = result(keras_2_files, "chain", open_model(tmp_path / "model.keras"))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def as_written(path, target, version):
    """An archive with the names of weights that a version of Keras 2 gave them."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["metadata.json"] = json.dumps({"keras_version": version}).encode()
    names, bytes_ = [], io.BytesIO()
    with h5py.File(io.BytesIO(parts["model.weights.h5"]), "r") as stored, h5py.File(bytes_, "w") as file:
        stored.visit(names.append)
        file.create_group("vars")
        for name in names:
            if isinstance(stored[name], h5py.Dataset):
                file.create_dataset(older(name, version), data=stored[name])
    parts["model.weights.h5"] = bytes_.getvalue()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def older(name, version):
    """Until 2.13, a layer with weights was counted twice: `dense`, `dense_2`."""
    if version < "2.15":
        name = re.sub(r"(^|/)layers(?=/)", r"\1_layer_checkpoint_dependencies", name)
    if version < "2.14":
        name = re.sub(r"_(\d+)(?=/vars)", lambda match: f"_{2 * int(match[1])}", name)
    return name


@pytest.mark.parametrize(
    ("version", "is_old"), [("2.0.5", True), ("1.2.2", True), (None, True), ("3.1.0", False)]
)
def test_who_wrote_an_hdf5_file(keras_2_files, tmp_path, version, is_old):
    shutil.copy(keras_2_files / "chain.h5", tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        file.attrs["keras_version"] = version or ""
        if version is None:
            del file.attrs["keras_version"]
    assert is_of_keras_2(tmp_path / "model.h5") == is_old


def test_who_wrote_a_file_of_keras_3(tmp_path):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "model.h5")
    assert not is_of_keras_2(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        del file.attrs["keras_version"]
    assert not is_of_keras_2(tmp_path / "model.h5")


def test_how_it_was_trained_is_not_read(keras_2_files, tmp_path):
    path = shutil.copy(keras_2_files / "chain.h5", tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        optimizer = {"class_name": "Adam", "config": {"lr": 0.1, "decay": 0.1, "epsilon": None}}
        file.attrs["training_config"] = json.dumps({"optimizer_config": optimizer, "loss": "a_loss_of_mine"})
        file.create_group("optimizer_weights").attrs["weight_names"] = ["unheard of"]
    before = path.read_bytes()
    actual, expected = result(keras_2_files, "chain", open_model(path))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (called("conv", invented=1), "another version of Keras"),
        (called("conv", "Unheard"), "layer 'Unheard', which Keras does not have: write it into a plugin"),
        (called("conv", activation="unheard"), "write it into a plugin"),
        (
            called("flat", "Lambda", function=["4wEAAAA=", None, None], function_type="lambda"),
            "code in the Lambda layer 'flat': declare \"trust_code\": true",
        ),
    ],
)
def test_what_is_refused_says_what_to_do(keras_2_files, tmp_path, edit, words):
    with pytest.raises(ModelRefused, match=words) as raised:
        open_model(edited(keras_2_files / "chain.h5", tmp_path / "model.h5", edit))
    assert "model.h5" not in raised.value.message


def test_a_file_of_weights_alone(keras_2_files, tmp_path):
    path = shutil.copy(keras_2_files / "chain.h5", tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
    with pytest.raises(ModelRefused, match=r"holds nothing but weights: save the whole model with"):
        open_model(path)


@pytest.mark.parametrize("file", ["chain.h5", "chain.keras"])
def test_without_keras_2_a_file_of_it_says_what_to_install(keras_2_files, monkeypatch, file):
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    with pytest.raises(ModelRefused, match=r'pip install --no-deps "tf-keras~=2.21.0"'):
        open_model(keras_2_files / file)


def test_a_plugin_for_the_other_keras_is_told_apart(keras_2_files, tmp_path):
    (tmp_path / "own_layer.py").write_text("import keras\nclass Own(keras.layers.Flatten): pass\n", "utf-8")
    path = edited(keras_2_files / "chain.h5", tmp_path / "model.h5", called("flat", "Own"))
    with pytest.raises(ModelRefused, match=r"Own .* import tf_keras as keras"):
        open_model(path, [tmp_path / "own_layer.py"])
    (tmp_path / "own_layer.py").write_text(
        "import tf_keras as keras\nclass Own(keras.layers.Flatten): pass\n", "utf-8"
    )
    actual, expected = result(keras_2_files, "chain", open_model(path, [tmp_path / "own_layer.py"]))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
