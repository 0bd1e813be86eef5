import io
import json
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import h5py
import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from layerscope.demo import MODELS, SAMPLES, samples

VERSION = MODELS / "digits" / "1"
MODEL_FILE = VERSION / "model.keras"
HELD_OUT_FILE = Path(__file__).parents[2] / "data" / "held_out_digits.npz"


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return keras.saving.load_model(MODEL_FILE, compile=False)


@pytest.fixture(scope="module")
def held_out() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    with np.load(HELD_OUT_FILE) as file:
        return file["images"], file["labels"]


def classify(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.intp]:
    batch = images[..., np.newaxis].astype(np.float32) / 255
    return model.predict(batch, verbose=0).argmax(axis=1)


def sample_images() -> NDArray[np.uint8]:
    return np.stack([np.asarray(Image.open(path)) for path in samples().values()])


def test_held_out_digits_are_a_hundred_of_each_class_and_all_different(held_out):
    images, labels = held_out
    assert images.shape == (1000, 28, 28)
    assert images.dtype == np.uint8
    assert np.bincount(labels).tolist() == [100] * 10
    assert len(np.unique(images, axis=0)) == 1000
    assert HELD_OUT_FILE.stat().st_size < 300_000


def test_model_reads_at_least_96_percent_of_the_held_out_digits(model, held_out):
    images, labels = held_out
    assert np.mean(classify(model, images) == labels) >= 0.96


def test_model_reads_every_sample_as_the_digit_it_is_named_after(model):
    assert classify(model, sample_images()).tolist() == list(range(10))


def test_samples_are_named_after_the_digits_in_order():
    assert list(samples()) == ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert set(samples().values()) == set(SAMPLES.glob("*.png"))


def test_samples_are_small_grey_png_white_on_black():
    for path in samples().values():
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "L", (28, 28))
            assert np.median(np.asarray(image)) == 0


def test_samples_are_held_out_digits_of_their_class(held_out):
    images, labels = held_out
    for digit, sample in enumerate(sample_images()):
        same = (images == sample).all(axis=(1, 2))
        assert labels[same].tolist() == [digit]


def test_finding_the_files_does_not_load_tensorflow():
    program = "import sys, layerscope.demo; print('keras' in sys.modules or 'tensorflow' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "False"


def test_layers_have_names_that_read_well(model):
    assert [layer.name for layer in model.layers] == [
        "input",
        "conv1",
        "pool1",
        "conv2",
        "pool2",
        "conv3",
        "flatten",
        "dense",
        "probabilities",
    ]


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3"])
def test_every_channel_of_a_convolution_has_something_to_show(model, held_out, layer):
    images, _ = held_out
    maps = keras.Model(model.inputs, model.get_layer(layer).output)
    activations = maps.predict(images[..., np.newaxis].astype(np.float32) / 255, verbose=0)
    assert activations.shape[-1] == 16
    assert (activations.max(axis=(0, 1, 2)) > 0).all()


def test_model_file_is_small():
    assert MODEL_FILE.stat().st_size < 200_000


def test_model_file_has_no_training_state():
    with ZipFile(MODEL_FILE) as archive:
        config = json.loads(archive.read("config.json"))
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
            assert "optimizer" not in weights
    assert not config["compile_config"]


def test_model_file_tells_nothing_of_the_machine_it_was_made_on():
    with ZipFile(MODEL_FILE) as archive:
        assert set(archive.namelist()) == {"metadata.json", "config.json", "model.weights.h5"}
        text = (archive.read("metadata.json") + archive.read("config.json")).decode()
    for trace in ("/", "\\", "shared_object_id", "date_saved"):
        assert trace not in text


def test_declaration_names_the_classes_and_the_preprocessing(model):
    declaration = json.loads((VERSION / "layerscope.json").read_text())
    assert declaration == {
        "preprocessing": {"preset": "unit", "size": [28, 28], "color": "grey"},
        "classes": ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    }
    assert model.input_shape == (None, 28, 28, 1)
    assert model.output_shape == (None, 10)
