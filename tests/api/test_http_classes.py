"""What a single sigmoid stands for: one rule for predictions, targets, inspections and the Open Inference Protocol."""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from requests_made import NPY, PNG, SEVEN
from starlette.testclient import TestClient

from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

NAMES = {
    "two": ["cat", "dog"],
    "one": ["dog"],
    "none": None,
    "three": ["cat", "dog", "cup"],
    "scalar": ["cat", "dog"],
}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The same network several times, with other names declared. It is never sure of a dog."""
    directory = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(8)
    start = keras.Input((8, 8, 1), name="picture")
    maps = layers.Conv2D(2, 3, activation="relu", name="conv")(start)
    pooled = layers.GlobalAveragePooling2D(name="pool")(maps)
    bias = keras.initializers.Constant(-2)
    chance = layers.Dense(1, activation="sigmoid", bias_initializer=bias, name="chance")(pooled)
    network = keras.Model(start, chance)
    for name, classes in NAMES.items():
        model = network
        if name == "scalar":
            alone = layers.Activation("sigmoid", name="alone")(layers.Reshape((), name="flat")(pooled[:, :1]))
            model = keras.Model(start, alone)
        write(directory / name / "1", model, classes)
    with TestClient(create_app(Settings(models=directory))) as served:
        yield served


def write(folder: Path, model: keras.Model, classes: Sequence[str] | None) -> None:
    folder.mkdir(parents=True)
    model.save(folder / "model.keras")
    declaration = {"preprocessing": {"preset": "unit"}, **({"classes": classes} if classes else {})}
    (folder / "layerscope.json").write_text(json.dumps(declaration), "utf-8")


def inspected(
    http: TestClient, model: str, target: str = "argmax"
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The predictions and the target of the only attribution, in one answer."""
    options = {"methods": "hirescam", "target": target, "layers": "conv"}
    answer = http.post(f"/v1/models/{model}/inspect", content=SEVEN, headers=PNG, params=options)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["outputs"][0]["predictions"][0], body["attributions"][0]["attribution"]["targets"][0]


def chance_of(http: TestClient, model: str) -> float:
    """The number that the model gives, as the Open Inference Protocol has it."""
    pixels = np.zeros((1, 8, 8, 1), np.float32)
    tensor = {"name": "picture", "datatype": "FP32", "shape": [1, 8, 8, 1], "data": pixels.ravel().tolist()}
    answer = http.post(f"/v2/models/{model}/infer", json={"inputs": [tensor]})
    assert answer.status_code == 200, answer.text
    return float(answer.json()["outputs"][0]["data"][0])


@pytest.mark.parametrize("model", ["two", "scalar"])
def test_with_two_names_both_are_listed_and_each_can_be_a_target(http: TestClient, model: str) -> None:
    predictions, likeliest = inspected(http, model)
    by_name = {row["name"]: row for row in predictions}

    assert {name: row["class"] for name, row in by_name.items()} == {"cat": 0, "dog": 1}
    assert by_name["cat"]["value"] + by_name["dog"]["value"] == pytest.approx(1)
    assert (likeliest["class"], likeliest["name"]) == (predictions[0]["class"], predictions[0]["name"])
    for name in ("cat", "dog"):
        for target in (name, str(by_name[name]["class"])):
            explained = inspected(http, model, target)[1]
            row = {key: explained[key] for key in ("class", "name", "value")}
            assert row == {**by_name[name], "value": pytest.approx(by_name[name]["value"], rel=1e-6)}


@pytest.mark.parametrize("model", ["one", "none", "three"])
def test_with_other_names_it_is_one_class(http: TestClient, model: str) -> None:
    predictions, likeliest = inspected(http, model)

    (row,) = predictions
    assert (row["class"], row["name"]) == (0, "dog" if model == "one" else None)
    assert row["value"] < 0.5
    assert (likeliest["class"], likeliest["name"]) == (0, row["name"])
    assert likeliest["value"] == pytest.approx(row["value"], rel=1e-6)
    refused = http.post(
        f"/v1/models/{model}/attributions/hirescam", content=SEVEN, headers=PNG, params={"target": "1"}
    )
    assert refused.status_code == 422
    assert "Two declared class names" in refused.json()["error"]


def test_the_number_itself_is_the_probability_of_the_second_name(http: TestClient) -> None:
    file = io.BytesIO()
    np.save(file, np.zeros((8, 8, 1), np.float32))
    black = http.post("/v1/models/two/predictions", content=file.getvalue(), headers=NPY)
    assert black.status_code == 200, black.text
    named = {row["name"]: row["value"] for row in black.json()["outputs"][0]["predictions"][0]}

    assert named["dog"] == pytest.approx(chance_of(http, "two"), rel=1e-5)
    assert chance_of(http, "two") == pytest.approx(1 / (1 + np.exp(2)), rel=1e-5)
