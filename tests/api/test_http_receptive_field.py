"""Which part of a picture a unit sees, asked over HTTP and with the client."""

import io
from typing import Any

import pytest
from PIL import Image
from requests_made import PNG, SEVEN
from served_models import Gallery
from starlette.testclient import TestClient

from layerscope_client import Client

URL = "/v1/models/{}/receptive-field"


def field(http: TestClient, model: str, **params: Any) -> dict[str, Any]:
    answer = http.get(URL.format(model), params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_unit_of_a_convolution_behind_a_pooling(http: TestClient) -> None:
    body = field(http, "digits", layer="conv2", y=5, x=0)

    assert (body["layer"], body["unit"], body["exact"]) == ("conv2", {"y": 5, "x": 0}, True)
    (seen,) = body["inputs"]
    assert seen["name"] == "input"
    assert seen["box"] == [0, 4, 8, 18]
    assert (seen["whole"], seen["reason"]) == (False, None)
    assert (seen["size"], seen["stride"], seen["offset"]) == (
        {"y": 14, "x": 14},
        {"y": 2, "x": 2},
        {"y": -6, "x": -6},
    )
    assert body["model"]["name"] == "digits"


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height), 200).save(file, "PNG")
    return file.getvalue()


def test_with_an_image_the_box_is_told_in_its_pixels_too(http: TestClient) -> None:
    image = http.post("/v1/images", content=png(56, 280), headers=PNG).json()["id"]

    (seen,) = field(http, "digits", layer="conv2", y=5, x=0, image=image)["inputs"]
    assert seen["box"] == [0, 4, 8, 18]
    assert seen["original"] == pytest.approx([0, 40, 16, 180])
    assert field(http, "digits", layer="conv2", y=5, x=0)["inputs"][0]["original"] is None


def test_without_a_place_it_is_the_unit_in_the_middle(http: TestClient) -> None:
    assert field(http, "digits", layer="conv1")["unit"] == {"y": 14, "x": 14}


def test_a_dense_layer_sees_everything_and_says_why(http: TestClient) -> None:
    body = field(http, "digits", layer="outputs")

    (seen,) = body["inputs"]
    assert body["unit"] == {}
    assert (seen["box"], seen["whole"], seen["size"]) == ([0, 0, 28, 28], True, {})
    assert "places" in seen["reason"]


def test_nested_shared_and_several_inputs(gallery: Gallery) -> None:
    inside = field(gallery.http, "nested", layer="backbone/block/conv", y=0, x=7)
    assert inside["inputs"][0]["box"] == [5, 0, 8, 3]

    turned = field(gallery.http, "shared", layer="encoder/conv:1", y=1, x=5)
    assert turned["inputs"][0]["box"] == [0, 4, 3, 7]

    pair = field(gallery.http, "pair", layer="look_right", y=1, x=1)
    assert [(each["name"], each["box"]) for each in pair["inputs"]] == [
        ("left", None),
        ("right", [0, 0, 3, 3]),
    ]


def test_a_model_of_any_size_needs_an_image(gallery: Gallery) -> None:
    answer = gallery.http.get(URL.format("any_size"), params={"layer": "conv"})
    assert (answer.status_code, answer.json()["code"]) == (422, "input_mismatch")

    image = gallery.http.post("/v1/images", content=SEVEN, headers=PNG).json()["id"]
    body = field(gallery.http, "any_size", layer="conv", image=image, y=0, x=27)
    assert body["inputs"][0]["box"] == [26, 0, 28, 2]


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"layer": "conv1", "y": 28}, 422, "option_invalid"),
        ({"layer": "conv1", "y": -1}, 422, "option_invalid"),
        ({"layer": "conv1", "z": 0}, 422, "option_invalid"),
        ({"layer": "conv*"}, 422, "option_invalid"),
        ({}, 422, "option_invalid"),
        ({"layer": "cnv1"}, 422, "layer_not_found"),
        ({"layer": "conv1", "image": "sha256-0"}, 404, "image_not_found"),
    ],
)
def test_what_cannot_be_answered(http: TestClient, params: dict[str, Any], status: int, code: str) -> None:
    answer = http.get(URL.format("digits"), params=params)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_client_asks_the_same(http: TestClient, gallery: Gallery) -> None:
    digits = Client(http=http).model("digits")
    assert digits.receptive_field("conv2", 5, 0) == field(http, "digits", layer="conv2", y=5, x=0)
    sized = Client(http=gallery.http).model("any_size").receptive_field("conv", 0, 27, image=SEVEN)
    assert sized["inputs"][0]["box"] == [26, 0, 28, 2]
