"""The option `edit` on every resource that runs a model: what it answers is of the edited model, and says so."""

import base64
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests_made import PNG, SEVEN
from starlette.testclient import TestClient

from layerscope.demo import samples

EDIT = "conv2;channels=0-7;set=0"
RESOURCES = {
    "activations": {"layers": "conv3"},
    "predictions": {},
    "statistics": {"layers": "conv3"},
    "statistics.png": {"layers": "conv3"},
    "feature-map.png": {"layer": "conv3"},
    "feature-map.json": {"layer": "conv3"},
    "overlay.png": {"layer": "conv3"},
    "attributions/gradcam": {"layer": "conv2"},
    "attributions/gradcam.png": {"layer": "conv2"},
    "attributions/occlusion": {"patch": 14},
    "plan": {"layers": "conv3"},
}


def get(http: TestClient, resource: str, image: str, **options: object) -> Any:
    answer = http.get(f"/v1/models/digits/{resource}", params={"image": image, **options})
    assert answer.status_code == 200, answer.text
    return answer


def probabilities(digits: keras.Model, pixels: np.ndarray[Any, Any], channels: int) -> np.ndarray[Any, Any]:
    """What the model says when the first channels of conv2 are taken away, computed by its layers."""
    hidden = pixels
    for layer in digits.layers[1:]:
        hidden = np.asarray(layer(hidden)).copy()
        if layer.name == "conv2":
            hidden[..., :channels] = 0
    return hidden


@pytest.fixture(scope="module")
def pixels(http: TestClient) -> np.ndarray[Any, Any]:
    body = http.post(
        "/v1/models/digits/activations", params={"layers": "input"}, content=SEVEN, headers=PNG
    ).json()
    return np.array(body["layers"][0]["values"], np.float32)


@pytest.mark.parametrize("form", ["query", "form", "json"])
def test_predictions_are_those_of_keras_layers_with_the_edit_between(
    http: TestClient, digits: keras.Model, pixels: np.ndarray[Any, Any], form: str
) -> None:
    sent: dict[str, Any] = {
        "query": {"params": {"edit": EDIT, "top": 10}, "content": SEVEN, "headers": PNG},
        "form": {
            "data": {"edit": [EDIT], "top": "10"},
            "files": {"image": ("seven.png", SEVEN, "image/png")},
        },
        "json": {
            "json": {"edit": [EDIT], "top": 10, "images": [{"base64": base64.b64encode(SEVEN).decode()}]}
        },
    }[form]
    body = http.post("/v1/models/digits/predictions", **sent).json()

    (rows,) = body["outputs"][0]["predictions"]
    found = {row["class"]: row["value"] for row in rows}
    expected = probabilities(digits, pixels, 8)[0]
    np.testing.assert_allclose([found[number] for number in range(10)], expected, atol=1e-5)
    assert body["edits"] == [EDIT]


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_resource_answers_about_the_edited_model(http: TestClient, seven: str, resource: str) -> None:
    options = RESOURCES[resource]
    clean, edited = get(http, resource, seven, **options), get(http, resource, seven, edit=EDIT, **options)

    if resource != "plan":
        assert edited.content != clean.content
        assert edited.headers["X-Edits"].startswith("sha256-")
        assert edited.headers["ETag"] != clean.headers["ETag"]
    assert "X-Edits" not in clean.headers
    if resource != "plan" and edited.headers["Content-Type"] == "application/json":
        assert edited.json()["edits"] == [EDIT]
    assert get(http, resource, seven, **options).content == clean.content


@pytest.mark.parametrize("form", ["npz", "safetensors"])
def test_files_of_tensors_name_the_edits(http: TestClient, seven: str, form: str) -> None:
    answer = get(http, "activations", seven, layers="conv3", edit=EDIT, format=form)
    assert EDIT.encode() in answer.content


def test_the_links_of_an_inspection_lead_to_the_edited_model(http: TestClient) -> None:
    answer = http.post(
        "/v1/models/digits/inspect",
        params={"edit": EDIT, "layers": "conv3", "methods": "gradcam"},
        content=SEVEN,
        headers=PNG,
    )
    body = answer.json()
    assert body["edits"] == [EDIT]
    links = [body["layers"][0][name] for name in ("picture", "overlay", "values")]
    for link in [*links, body["attributions"][0]["picture"]]:
        followed = http.get(link)
        assert followed.headers["X-Edits"] == answer.headers["X-Edits"]
        assert "cache;desc=hit" in followed.headers["Server-Timing"]


def test_several_edits_and_their_order(http: TestClient, seven: str) -> None:
    edits = ["conv2;channels=0;set=mean", "conv1;scale=2;high=3"]
    one, two = (get(http, "activations", seven, layers="conv3", edit=order) for order in (edits, edits[::-1]))
    assert one.content == two.content
    assert one.json()["edits"] == ["conv1;scale=2;high=3", "conv2;channels=0;set=mean"]


def test_values_of_another_image_are_put_in_place(http: TestClient, seven: str) -> None:
    other = http.post("/v1/images", content=samples()["zero"].read_bytes(), headers=PNG).json()["id"]
    expected = get(http, "activations", other, layers="conv3").json()["layers"][0]["values"]
    found = get(http, "activations", seven, layers="conv3", edit=f"conv2;patch={other}").json()
    np.testing.assert_allclose(found["layers"][0]["values"], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("edit", "status", "code"),
    [
        ("conv2", 422, "option_invalid"),
        ("conv2;set=", 422, "option_invalid"),
        ("conv2;channels=99;set=0", 422, "channel_not_found"),
        ("conv9;set=0", 422, "layer_not_found"),
        ("re:(;set=0", 400, "invalid_selector"),
        ("conv2;patch=sha256-0", 404, "image_not_found"),
        ("conv3;set=0", 422, "option_invalid"),
        (["conv2;channels=1;set=0", "conv2;channels=0-3;set=1"], 422, "option_invalid"),
        (["all;scale=1"] * 33, 413, "too_many"),
    ],
)
def test_edits_that_are_impossible_are_refused(
    http: TestClient, seven: str, edit: object, status: int, code: str
) -> None:
    params: Any = {"image": seven, "layers": "conv2", "edit": edit}
    answer = http.get("/v1/models/digits/activations", params=params)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


PARTS = [
    "conv2",
    "all",
    "input",
    ";",
    "set=",
    "mean",
    "0",
    "scale=",
    "1,2",
    "channels=",
    "0-3",
    "region=",
    "0,0,2,2",
    "nan",
    "é",
    "-",
]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edit=st.lists(st.sampled_from(PARTS), max_size=9).map("".join)
    | st.text(max_size=40)
    | st.integers()
    | st.none(),
    form=st.sampled_from(["query", "form", "json"]),
)
def test_any_edit_is_answered_or_refused_with_an_error_of_ours(
    http: TestClient, seven: str, edit: object, form: str
) -> None:
    path = "/v1/models/digits/predictions"
    if form == "json":
        answer = http.post(path, json={"images": [{"id": seven}], "edit": edit})
    elif form == "form":
        files = {"image": ("seven.png", SEVEN, "image/png")}
        answer = http.post(path, data={"edit": [str(edit)]}, files=files)
    else:
        answer = http.get(path, params={"image": seven, "edit": str(edit)})
    assert answer.status_code in {200, 400, 404, 413, 422}, answer.text
    assert answer.status_code == 200 or answer.json()["code"]
