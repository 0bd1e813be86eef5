"""M11 over HTTP: models that people build are accepted, and answer the same bytes as from the model directory."""

import json
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from answers_read import npy, tensors
from keras import layers
from requests_made import JSON, NPY
from served_models import inputs_of, write_models
from starlette.testclient import TestClient

from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

pytestmark = pytest.mark.wide

SENT = ("nested", "shared", "forked", "ladder", "pair", "any_size", "sequence", "odd")
"""All wirings but the one with a plugin, which is code."""

Served = tuple[TestClient, Path]


def mixed() -> keras.Model:
    """Half the precision inside, and operations in the graph."""
    start = keras.Input((8, 8, 3), name="picture")
    hidden = layers.Conv2D(4, 3, activation="relu", name="conv", dtype="mixed_float16")(start)
    hidden = keras.ops.tanh(hidden) * 2
    return keras.Model(
        start, layers.Dense(2, dtype="float32", name="kind")(layers.Flatten(name="flat")(hidden))
    )


def separable() -> keras.Model:
    start = keras.Input((8, 8, 3), name="picture")
    hidden = layers.DepthwiseConv2D(3, name="depthwise")(start)
    hidden = layers.SeparableConv2D(5, 3, activation="relu", name="separable")(hidden)
    return keras.Model(start, layers.GlobalAveragePooling2D(name="pool")(hidden))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    models = tmp_path_factory.mktemp("models")
    examples = write_models(models)
    for name, model, suffix in (("mixed", mixed(), "keras"), ("legacy", separable(), "h5")):
        (models / name / "1").mkdir(parents=True)
        model.save(models / name / "1" / f"model.{suffix}")
    with TestClient(create_app(Settings(models=models, allow_upload=True))) as http:
        inputs = {name: inputs_of(each.model, 2) for name, each in examples.items()}
        http.inputs = {**inputs, "mixed": inputs_of(mixed(), 2), "legacy": inputs_of(separable(), 2)}  # type: ignore[attr-defined]
        yield http, models


@pytest.mark.parametrize("name", [*SENT, "mixed", "legacy"])
def test_m11_what_is_sent_answers_as_what_lies_in_the_directory(served: Served, name: str) -> None:
    http, models = served
    (file,) = (models / name / "1").glob("model.*")
    declaration = models / name / "1" / "layerscope.json"
    fields = {"declaration": declaration.read_text("utf-8")} if declaration.exists() else {}
    answer = http.post(
        "/v1/models", files={"model": (file.name, file.read_bytes())}, data={"name": f"sent-{name}", **fields}
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["state"] == "ready"
    assert answer.json()["file"]["warnings"] == []

    def values(model: str) -> dict[str, np.ndarray]:
        arrays = http.inputs[name]  # type: ignore[attr-defined]
        address = f"/v1/models/{model}/activations?layers=all&format=safetensors"
        if len(arrays) == 1:
            return tensors(http.post(address, content=npy(arrays[0]), headers=NPY))
        described = http.get(f"/v1/models/{model}").json()["inputs"]
        files = [(each["name"], ("x.npy", npy(array))) for each, array in zip(described, arrays, strict=True)]
        return tensors(http.post(address, files=files))

    kept, sent = values(f"{name}@1"), values(f"sent-{name}")
    assert kept.keys() == sent.keys()
    assert all(kept[address].tobytes() == sent[address].tobytes() for address in kept)


def test_a_model_with_code_of_its_own_is_not(served: Served) -> None:
    http, models = served
    content = (models / "plugin" / "1" / "model.keras").read_bytes()
    answer = http.post("/v1/models", files={"model": ("m.keras", content)}, data={"name": "sent-plugin"})
    assert (answer.status_code, answer.json()["code"]) == (422, "layer_not_allowed")
    assert json.loads(http.get("/v1/models/plugin", headers=JSON).text)["state"] == "ready"
