"""Comparisons over HTTP with a `.tflite` file that stands beside a served model."""

import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from layerscope import demo
from layerscope.demo import samples
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

IMAGES = [each.read_bytes() for each in list(samples().values())[:4]]
LAYERS = ["input", "conv1", "pool1", "conv2", "pool2", "conv3", "flatten", "dense", "probabilities"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model, a file that was converted from it, and others that are none."""
    import tensorflow as tf

    directory = tmp_path_factory.mktemp("models")
    version = directory / "digits" / "1"
    shutil.copytree(next(demo.MODELS.rglob("model.keras")).parent, version)
    model = keras.models.load_model(version / "model.keras")
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    (version / "float.tflite").write_bytes(content)
    (version / "cut.tflite").write_bytes(content[:1000])
    (directory.parent / "outside.tflite").write_bytes(content)
    (version / "link.tflite").symlink_to(directory.parent / "outside.tflite")
    return directory


@pytest.fixture(scope="module")
def served(directory: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models=str(directory), allowed_hosts=("testserver",)))) as http:
        yield http


def compared(http: TestClient, path: str = "/v1/compare", **options: Any):
    options = {"reference": "digits@1", "candidate": "digits@1/float.tflite", **options}
    headers = {"Accept": options.pop("accept", "*/*")}
    return http.post(path, data=options, files=[("image", each) for each in IMAGES], headers=headers)


def test_each_layer_of_the_file_is_compared(served: TestClient, directory: Path) -> None:
    answer = compared(served, most="1e-5")
    body = answer.json()
    assert answer.status_code == 200, answer.text
    digest = hashlib.sha256((directory / "digits" / "1" / "float.tflite").read_bytes()).hexdigest()
    assert body["candidate"] == {
        "name": "digits",
        "version": 1,
        "digest": f"sha256-{digest}",
        "file": "float.tflite",
    }
    assert "file" not in body["reference"]
    assert [each["reference"] for each in body["layers"]] == LAYERS
    assert max(each["relative_l2"] for each in body["layers"]) < 1e-5
    assert (body["verdict"], body["fused"], body["agreement"][0]["argmax"]) == ("rounding", [], 1)
    sites = compared(served, layers="conv1,conv1@preactivation").json()
    assert (sites["fused"], [each["reference"] for each in sites["layers"]]) == (
        ["conv1@preactivation"],
        ["conv1"],
    )


def test_progress_comes_before_the_result(served: TestClient) -> None:
    lines = compared(served, accept="application/x-ndjson").text.splitlines()
    assert [json.loads(line).get("progress") for line in lines[:-1]]
    assert json.loads(lines[-1])["result"]["candidate"]["file"] == "float.tflite"


@pytest.mark.parametrize("match", ["address", "matrix"])
def test_pictures(served: TestClient, match: str) -> None:
    answer = compared(served, "/v1/compare.png", match=match)
    picture = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))
    assert answer.status_code == 200
    assert picture.std() > 1


@pytest.mark.parametrize(
    ("options", "status", "code", "words"),
    [
        ({"candidate": "digits@1/none.tflite"}, 404, "model_not_found", "there are cut.tflite, float.tflite"),
        ({"candidate": "digits@1/model.keras"}, 404, "model_not_found", "no file 'model.keras'"),
        ({"candidate": "digits@1/../../outside.tflite"}, 404, "model_not_found", "no file"),
        ({"candidate": "digits@1/"}, 404, "model_not_found", "no file ''"),
        ({"candidate": "digits@9/float.tflite"}, 404, "model_not_found", "9"),
        ({"candidate": "digits@1/link.tflite"}, 422, "model_refused", "leads out of the model directory"),
        ({"candidate": "digits@1/cut.tflite"}, 422, "model_unreadable", "damaged"),
        ({"reference": "digits@1/float.tflite"}, 404, "model_not_found", "digits"),
        ({"layers": "conv1@preactivation"}, 422, "option_invalid", "no tensor of its own|fused"),
    ],
)
def test_what_cannot_be_compared(
    served: TestClient, options: dict[str, Any], status: int, code: str, words: str
) -> None:
    answer = compared(served, **options)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert any(each in answer.json()["error"] for each in words.split("|"))
