"""Architectures of Keras that are served without a directory."""

import json

import h5py
import keras
import numpy as np
import pytest

from layerscope.errors import ModelRefused
from layerscope.limits import Limits
from layerscope.models.directory import find_models
from layerscope.models.mirrors import is_elsewhere, mirror_of

pytestmark = pytest.mark.wide


def test_an_architecture_is_a_declaration_of_one(tmp_path):
    mirror = mirror_of("keras.applications:MobileNetV2", tmp_path, Limits())
    mirror.refresh()
    (source,) = find_models(mirror.directory)
    assert source.key == ("mobilenetv2", 1)
    assert json.loads(source.path.read_text()) == {"architecture": "MobileNetV2", "weights": "random"}


def test_weights_that_keras_downloads_lie_beside_it(tmp_path, monkeypatch):
    """Keras finds in a folder of its own what it downloaded before, so that none of this asks for a network."""
    model = keras.applications.MobileNet(weights=None)
    downloaded = tmp_path / "keras" / "models" / "mobilenet_1_0_224_tf.h5"
    downloaded.parent.mkdir(parents=True)
    model.save(downloaded)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    mirror = mirror_of("keras.applications:MobileNet", tmp_path / "cache", Limits(), "imagenet")
    assert mirror.refresh() == {}
    (source,) = find_models(mirror.directory)
    weights = source.folder / json.loads(source.path.read_text())["weights"]
    with h5py.File(weights) as file:
        kernel = file["layers/conv2d/vars/0"][()]
    np.testing.assert_array_equal(kernel, model.get_layer("conv1").kernel)
    downloaded.unlink()
    assert mirror.refresh() == {}


def test_an_architecture_that_keras_does_not_have_is_told(tmp_path):
    mirror = mirror_of("keras.applications:MobilNetV2", tmp_path, Limits(), "imagenet")
    ((key, error),) = mirror.refresh().items()
    assert key == ("mobilnetv2", 1)
    assert isinstance(error, ModelRefused)
    assert "did you mean MobileNetV2" in error.message


@pytest.mark.parametrize("source", ["keras.applications:", "keras.applications:../x", "applications:VGG16"])
def test_what_names_no_architecture(source):
    assert not is_elsewhere(source)
