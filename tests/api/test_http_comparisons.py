"""Comparisons over HTTP: two models on the same images, and two images in one model."""

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

IMAGES = [each.read_bytes() for each in list(samples().values())[:6]]
PAIR = {"reference": "digits@1", "candidate": "digits@2"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model, and as version 2 the same with another kernel in conv2."""
    directory = tmp_path_factory.mktemp("models")
    served = next(demo.MODELS.rglob("model.keras")).parent
    for version in (1, 2):
        shutil.copytree(served, directory / "digits" / str(version))
    model = keras.models.load_model(served / "model.keras")
    kernel, bias = model.get_layer("conv2").get_weights()
    noise = np.random.default_rng(0).standard_normal(kernel.shape)
    model.get_layer("conv2").set_weights([kernel * (1 + 0.2 * noise), bias])
    model.save(directory / "digits" / "2" / "model.keras")
    return directory


@pytest.fixture(scope="module")
def served(directory: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models=str(directory), allowed_hosts=("testserver",)))) as http:
        yield http


@pytest.fixture(scope="module")
def stored(served: TestClient) -> list[str]:
    headers = {"Content-Type": "image/png"}
    return [served.post("/v1/images", content=each, headers=headers).json()["id"] for each in IMAGES]


def compared(http: TestClient, stored: list[str], path: str = "/v1/compare", **options: Any):
    return http.post(path, json={**PAIR, "images": [{"id": each} for each in stored], **options})


def test_two_versions_differ_from_the_layer_on_that_changed(served: TestClient, stored: list[str]) -> None:
    answer = compared(served, stored)
    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["x-model"] == "digits@1"
    assert (body["verdict"], body["first"], body["origins"]) == ("drifted", "conv2", ["conv2"])
    assert (body["reference"]["version"], body["candidate"]["version"]) == (1, 2)
    assert body["images"] == stored
    layers = {each["reference"]: each for each in body["layers"]}
    assert (layers["conv1"]["status"], layers["conv1"]["relative_l2"]) == ("same", 0)
    assert layers["conv2"]["status"] == "drifted"
    assert 0 < layers["conv2"]["cka_sd"] < 1
    assert layers["conv2"]["rsa"] is None
    assert 0 <= body["agreement"][0]["argmax"] <= 1
    assert {each["image"] for each in body["worst_images"]} <= set(stored)


def test_all_forms_of_a_request_give_the_same(served: TestClient, stored: list[str]) -> None:
    options = {"layers": ["conv*", "dense"], "measures": ["relative_l2", "rsa"]}
    by_id = compared(served, stored, **options).json()
    files = [("image", each) for each in IMAGES]
    form = served.post(
        "/v1/compare", data={**PAIR, "layers": "conv*,dense", "measures": "relative_l2,rsa"}, files=files
    )
    assert form.json() == by_id
    assert all(each["max"] is None and each["rsa"] is not None for each in by_id["layers"])


def test_progress_comes_before_the_result(served: TestClient, stored: list[str]) -> None:
    document = {**PAIR, "images": [{"id": each} for each in stored]}
    lines = served.post(
        "/v1/compare", json=document, headers={"Accept": "application/x-ndjson"}
    ).text.splitlines()
    assert {"progress"} == json.loads(lines[0]).keys()
    assert json.loads(lines[-1])["result"] == compared(served, stored).json()


@pytest.mark.parametrize("match", ["address", "best", "matrix"])
def test_pictures(served: TestClient, stored: list[str], match: str) -> None:
    answer = compared(served, stored, "/v1/compare.png", match=match)
    picture = Image.open(io.BytesIO(answer.content))
    assert (answer.status_code, picture.format) == (200, "PNG")
    assert answer.content == compared(served, stored, "/v1/compare.png", match=match).content
    red = (np.asarray(picture.convert("RGB")) == (214, 39, 40)).all(axis=2).any()
    assert red == (match == "address")


def test_the_matrix_is_symmetric_for_a_model_and_itself(served: TestClient, stored: list[str]) -> None:
    body = compared(served, stored, match="matrix", candidate="digits@1").json()
    matrix = np.array(body["matrix"]["cka"])
    assert body["verdict"] is None
    assert matrix == pytest.approx(matrix.T)
    assert np.diag(matrix) == pytest.approx(np.ones(len(matrix)))


@pytest.mark.parametrize(
    ("options", "status", "code", "words"),
    [
        ({"candidate": "none"}, 404, "model_not_found", "none"),
        ({"candidate": "digits@9"}, 404, "model_not_found", "9"),
        ({"layers": "conv9"}, 422, "layer_not_found", "conv9"),
        ({"measures": "cca"}, 422, "option_invalid", "cca"),
        ({"match": "some"}, 422, "option_invalid", "match"),
        ({"match": "rules", "rules": "a*=b"}, 422, "option_invalid", "wildcards"),
        ({"most": -1}, 422, "option_invalid", "most"),
        ({"edit": "conv1;set"}, 422, "option_invalid", "edit"),
        ({"edit": "conv9;set=0"}, 422, "layer_not_found", "conv9"),
        ({"edit": "conv1;patch=sha256-" + "0" * 64}, 404, "image_not_found", "stored"),
        ({"images": [{"id": "sha256-" + "0" * 64}]}, 404, "image_not_found", "stored"),
        ({"images": []}, 422, "input_mismatch", "no image"),
    ],
)
def test_what_cannot_be_compared(
    served: TestClient, stored: list[str], options: dict[str, Any], status: int, code: str, words: str
) -> None:
    for path in ("/v1/compare", "/v1/compare.png"):
        answer = compared(served, stored, path, **options)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert words in answer.json()["error"]


def test_two_images_are_compared_in_every_layer(served: TestClient, stored: list[str]) -> None:
    url, params = "/v1/models/digits@1/compare", {"image": stored[:2]}
    body = served.get(url, params=params).json()
    values = served.get("/v1/models/digits@1/activations", params={**params, "layers": "conv1"}).json()
    one, other = np.array(values["layers"][0]["values"])
    conv1 = next(each for each in body["layers"] if each["address"] == "conv1")
    assert conv1["relative_l2"] == pytest.approx(np.linalg.norm(other - one) / np.linalg.norm(one), rel=1e-5)
    angle = np.vdot(one, other) / np.linalg.norm(one) / np.linalg.norm(other)
    assert conv1["cosine"] == pytest.approx(angle, rel=1e-5)
    assert (conv1["channels"], conv1["changed"]) == (16, 1.0)
    strict = served.get(url, params={**params, "layers": "conv1", "changed_by": 1e6}).json()
    assert strict["layers"][0]["changed"] == 0

    equal = served.get(url, params={"image": [stored[0], stored[0]]}).json()
    assert {(each["relative_l2"], each["changed"]) for each in equal["layers"]} == {(0.0, 0.0)}
    refused = served.get(url, params={"image": stored[:3]})
    assert (refused.status_code, refused.json()["code"]) == (422, "input_mismatch")

    picture = served.get(f"{url}.png", params=params)
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    assert "etag" in picture.headers


def test_an_edited_model_is_compared_as_edited(served: TestClient, stored: list[str]) -> None:
    params = {"image": stored[:2], "edit": "conv1;set=0", "layers": "conv1"}
    body = served.get("/v1/models/digits@1/compare", params=params).json()
    assert body["layers"][0]["relative_l2"] == 0


@pytest.mark.parametrize("edit", ["conv2;channels=3;set=0", "conv2;set=mean", "conv2;channels=0-3;patch={}"])
def test_a_model_and_its_edited_self(served: TestClient, stored: list[str], edit: str) -> None:
    edit = edit.format(stored[0])
    answer = compared(served, stored[1:], candidate="digits@1", edit=edit)
    body = answer.json()
    assert (body["edits"], body["origins"]) == ([edit], ["conv2"])
    assert "x-edits" in answer.headers
    layers = {each["reference"]: each for each in body["layers"]}
    assert layers["conv1"]["status"] == "same"

    ids = [("image", each) for each in stored[1:]]
    query = [*ids, ("layers", "conv2,conv3"), ("edit", edit), ("change", "true")]
    path = "/v1/models/digits@1/activations"
    change = served.get(path, params=query).json()["layers"]
    clean = served.get(path, params=[*ids, ("layers", "conv2,conv3")]).json()["layers"]
    for each, before in zip(change, clean, strict=True):
        expected = np.linalg.norm(each["values"]) / np.linalg.norm(before["values"])
        assert layers[each["address"]]["relative_l2"] == pytest.approx(expected, rel=1e-5)


def test_the_edited_candidate_is_compared_with_another_version(served: TestClient, stored: list[str]) -> None:
    body = compared(served, stored, edit=["conv1;channels=0;set=0"]).json()
    assert body["origins"] == ["conv1"]
    picture = compared(served, stored, "/v1/compare.png", edit="conv1;channels=0;set=0")
    text = Image.open(io.BytesIO(picture.content)).text
    assert text["edits"] == "conv1;channels=0;set=0"
