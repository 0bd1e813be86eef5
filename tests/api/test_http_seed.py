"""The option `seed` on every resource that runs a model: it chooses the random numbers, and answers name it."""

import json
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from requests_made import PNG, SEVEN
from starlette.testclient import TestClient

from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from layerscope_client import Client

PLUGIN = """
import keras


@keras.saving.register_keras_serializable("seed_tests")
class Noisy(keras.layers.Layer):
    def build(self, shape):
        self.seeds = keras.random.SeedGenerator(7)

    def call(self, values):
        return values + keras.random.normal(keras.ops.shape(values), seed=self.seeds)
"""
RESOURCES = {
    "activations": {"layers": "noisy"},
    "predictions": {},
    "statistics": {"layers": "noisy"},
    "statistics.png": {"layers": "noisy"},
    "feature-map.png": {"layer": "noisy"},
    "feature-map.json": {"layer": "noisy"},
    "overlay.png": {"layer": "noisy"},
    "attributions/layercam": {"layer": "noisy"},
    "attributions/layercam.png": {"layer": "noisy"},
    "attributions/occlusion": {"patch": 4, "stride": 4},
    "attributions/smoothgrad": {"samples": 2},
    "compare": {"layers": "noisy"},
    "compare.png": {"layers": "noisy"},
}


@pytest.fixture(scope="module")
def sampling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service with a model that samples."""
    folder = tmp_path_factory.mktemp("sampling") / "noisy" / "1"
    folder.mkdir(parents=True)
    (folder / "classes.py").write_text(PLUGIN, "utf-8")
    (folder / "layerscope.json").write_text(json.dumps({"plugins": ["classes.py"]}), "utf-8")
    classes: dict[str, Any] = {}
    exec(compile(PLUGIN, "classes.py", "exec"), classes)  # noqa: S102 - as a plugin is
    image = keras.Input((8, 8, 1), name="picture")
    hidden = classes["Noisy"](name="noisy")(layers.Conv2D(2, 3, padding="same", name="conv")(image))
    pooled = layers.GlobalAveragePooling2D(name="pool")(layers.ReLU(name="relu")(hidden))
    keras.Model(image, layers.Dense(3, name="kind")(pooled)).save(folder / "model.keras")
    with TestClient(create_app(Settings(models=folder.parent.parent))) as http:
        yield http


@pytest.fixture(scope="module")
def image(sampling: TestClient) -> str:
    return str(sampling.post("/v1/images", content=SEVEN, headers=PNG).json()["id"])


def get(http: TestClient, resource: str, images: list[str], **options: object) -> Any:
    answer = http.get(f"/v1/models/noisy/{resource}", params={"image": images, **options})
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_resource_takes_a_seed_and_names_it(sampling: TestClient, image: str, resource: str) -> None:
    images = [image, image] if resource.startswith("compare") else [image]
    options = RESOURCES[resource]
    first, second, again = (get(sampling, resource, images, **options, seed=seed) for seed in (1, 2, 1))
    assert [each.headers["x-seed"] for each in (first, second, again)] == ["1", "2", "1"]
    assert first.content == again.content
    assert first.headers["etag"] == again.headers["etag"] != second.headers["etag"]
    if not resource.startswith("compare"):
        assert first.content != second.content
    if first.headers["content-type"] == "application/json":
        assert (first.json()["seed"], second.json()["seed"]) == (1, 2)


def test_without_a_seed_it_is_zero(sampling: TestClient, image: str) -> None:
    plain, zero = (
        get(sampling, "activations", [image], layers="noisy", **options) for options in ({}, {"seed": 0})
    )
    assert plain.json()["layers"] == zero.json()["layers"]
    assert plain.headers["x-seed"] == "0"


@pytest.mark.parametrize("seed", ["-1", "4294967296", "x"])
def test_impossible_seeds_are_refused(sampling: TestClient, image: str, seed: str) -> None:
    answer = sampling.get("/v1/models/noisy/predictions", params={"image": image, "seed": seed})
    assert (answer.status_code, answer.json()["code"]) == (422, "option_invalid")


def test_models_that_draw_nothing_name_no_seed(http: TestClient, seven: str) -> None:
    answer = http.get("/v1/models/digits/predictions", params={"image": seven, "seed": 4})
    assert "x-seed" not in answer.headers
    assert "seed" not in answer.json()


def test_links_of_an_inspection_keep_the_seed(sampling: TestClient) -> None:
    body = sampling.post(
        "/v1/models/noisy/inspect",
        params={"seed": 5, "methods": "smoothgrad,layercam"},
        content=SEVEN,
        headers=PNG,
    ).json()
    assert body["seed"] == 5
    row = next(each for each in body["layers"] if each["address"] == "noisy")
    values = sampling.get(row["values"]).json()
    assert values["seed"] == 5
    smoothgrad = body["attributions"][0]
    assert smoothgrad["attribution"]["options"]["seed"] == 5
    assert sampling.get(smoothgrad["values"]).headers["x-seed"] == "5"


def test_the_bytes_of_a_plan_are_those_of_the_answer(sampling: TestClient, image: str) -> None:
    options = {"layers": "noisy", "format": "safetensors", "seed": 123}
    plan = get(sampling, "plan", [image], **options).json()["formats"]["safetensors"]
    assert plan["exact"]
    assert plan["bytes"] == len(get(sampling, "activations", [image], **options).content)


def test_a_model_compared_with_itself_draws_the_same_numbers(sampling: TestClient) -> None:
    options = {"reference": "noisy", "candidate": "noisy", "seed": 9}
    answer = sampling.post("/v1/compare", params=options, content=SEVEN, headers=PNG)
    assert answer.headers["x-seed"] == "9"
    assert answer.json()["seed"] == 9
    assert {each["max"] for each in answer.json()["layers"]} == {0.0}


def test_the_inference_protocol_takes_a_seed(sampling: TestClient) -> None:
    def infer(seed: object) -> Any:
        picture = {"name": "picture", "shape": [1, 8, 8, 1], "datatype": "FP32", "data": [0.5] * 64}
        document = {"inputs": [picture], "outputs": [{"name": "noisy"}], "parameters": {"seed": seed}}
        return sampling.post("/v2/models/noisy/infer", json=document)

    first, second, again = (infer(seed).json() for seed in (1, 2, 1))
    assert first["parameters"] == {"seed": 1}
    assert first["outputs"] == again["outputs"] != second["outputs"]
    assert infer("many").status_code == 400


def test_a_seeded_model_of_the_client(sampling: TestClient) -> None:
    noisy = Client(http=sampling).model("noisy")
    pixels = np.full((8, 8, 1), 0.5, np.float32)
    first, second = (noisy.seeded(seed).activations(pixels, "noisy")["noisy"] for seed in (1, 2))
    assert not np.array_equal(first, second)
    assert np.array_equal(
        first, noisy.seeded(2).seeded(1).edited("conv;scale=1").activations(pixels, "noisy")["noisy"]
    )
    maps = [
        noisy.seeded(1).attribution(pixels, "smoothgrad", samples=2, **options)
        for options in ({}, {"seed": 1})
    ]
    assert np.array_equal(maps[0].maps, maps[1].maps)
    assert "seed 1" in repr(noisy.seeded(1))
