"""`layerscope compare` with a `.tflite` file as the candidate."""

from pathlib import Path
from xml.etree import ElementTree

import keras
import pytest
from keras import layers
from typer.testing import CliRunner

from digit_images import write_digits
from layerscope_api.cli.app import app


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a file that was converted from it, and images."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("lite")
    write_digits(folder / "images")
    keras.utils.set_random_seed(1)
    image = keras.Input((28, 28, 1), name="image")
    hidden = layers.Conv2D(4, 3, name="conv")(image)
    hidden = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(hidden))
    scores = layers.Dense(10, activation="softmax", name="scores")(layers.Flatten(name="flat")(hidden))
    model = keras.Model(image, scores, name="small")
    model.save(folder / "model.keras")
    model.export(folder / "saved", verbose=False)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    (folder / "model.tflite").write_bytes(converter.convert())
    return folder


def test_the_table_has_the_layers_of_the_file_and_counts_the_others(folder: Path) -> None:
    paths = [str(folder / name) for name in ("model.keras", "model.tflite")]
    options = ["--images", str(folder / "images"), "--most", "1e-5", "--junit", str(folder / "layers.xml")]
    done = CliRunner().invoke(app, ["compare", *paths, *options])
    assert done.exit_code == 0, done.output
    assert [line.split(" | ")[0] for line in done.stdout.splitlines() if line.startswith("| ")] == [
        "| layer",
        "| image",
        "| relu",
        "| flat",
        "| scores",
    ]
    assert "2 further layers have no tensor of their own in the file: conv, norm." in done.stdout
    suite = ElementTree.fromstring((folder / "layers.xml").read_bytes())  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("6", "0", "2")
    assert [case.get("name") for case in suite if case.find("skipped") is not None] == ["conv", "norm"]


def test_a_saved_model_has_the_names_of_its_calls_before_those_of_the_file(folder: Path) -> None:
    paths = [str(folder / name) for name in ("saved", "model.tflite")]
    done = CliRunner().invoke(app, ["compare", *paths, "--images", str(folder / "images"), "--most", "1e-5"])
    assert done.exit_code == 0, done.output
    assert {"relu", "flat", "scores"} <= {
        line.split(" | ")[0].strip("| ") for line in done.stdout.splitlines()
    }


def test_a_file_is_the_candidate_and_never_the_reference(folder: Path) -> None:
    paths = [str(folder / name) for name in ("model.tflite", "model.keras")]
    done = CliRunner().invoke(app, ["compare", *paths, "--images", str(folder / "images")])
    assert done.exit_code == 2
    assert "a TensorFlow Lite model, which is compared with the Keras model" in " ".join(done.stderr.split())


def test_a_damaged_file_cannot_be_compared(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.tflite").write_bytes((folder / "model.tflite").read_bytes()[:500])
    paths = [str(folder / "model.keras"), str(tmp_path / "cut.tflite")]
    done = CliRunner().invoke(app, ["compare", *paths, "--images", str(folder / "images")])
    assert done.exit_code == 2
    assert done.stderr.strip() == "They cannot be compared: The file is damaged: convert the model again."
