"""Bodies in JSON: their parts are counted before they are parsed, and images in base64 are apart from them."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from requests_made import ACTIVATIONS, JSON, PREDICTIONS, SEVEN_BASE64
from starlette.testclient import TestClient

PARTS = 600_000
NAMES = b'{"0":0' + b",".join(b'"%d":0' % number for number in range(PARTS)) + b"}"
LISTS = b'{"images":[' + b"[]," * PARTS + b"[]]}"
OBJECTS = b'{"images":[' + b"{}," * PARTS + b"{}]}"
TEXTS = b'{"layers":[' + b'"",' * PARTS + b'""]}'
DEPTH = b"[" * PARTS + b"]" * PARTS
MADE_OF_PARTS = {"names": NAMES, "lists": LISTS, "objects": OBJECTS, "texts": TEXTS, "depth": DEPTH}
ADDRESSES = [PREDICTIONS, ACTIVATIONS, "/v1/models/digits/plan", "/v2/repository/index"]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("body", MADE_OF_PARTS.values(), ids=MADE_OF_PARTS)
def test_a_body_of_many_parts_is_refused_before_it_is_parsed(
    http: TestClient, address: str, body: bytes
) -> None:
    answer = http.post(address, content=body, headers=JSON)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_many")
    details = answer.json()["details"]
    assert PARTS >= details["parts"] > details["limit"]


@pytest.mark.parametrize("parts", [b"[],", b'{"a":0},'])
def test_an_inference_request_has_no_more_lists_than_its_values_need(http: TestClient, parts: bytes) -> None:
    body = b'{"inputs":[{"name":"image","shape":[1],"datatype":"FP32","data":[' + parts * PARTS + b"0]}]}"
    answer = http.post("/v2/models/digits/infer", content=body, headers=JSON)

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_large_picture_in_json_is_the_picture_itself(http: TestClient) -> None:
    picture = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (1_500, 1_500, 3), np.uint8)).save(
        picture, "PNG"
    )
    text = base64.b64encode(picture.getvalue()).decode()
    sent = [{"base64": text}, {"base64": SEVEN_BASE64}, {"base64": text}]
    # Some writers escape the slash, which is a digit of base64.
    body = json.dumps({"images": sent, "top": 3}).replace("/", "\\/")

    together = http.post(PREDICTIONS, content=body, headers=JSON).json()
    alone = http.post(
        PREDICTIONS + "?top=3", content=picture.getvalue(), headers={"Content-Type": "image/png"}
    )

    assert len(text) > 1_000_000
    first, _, last = together["outputs"][0]["predictions"]
    assert first == last == alone.json()["outputs"][0]["predictions"][0]


@pytest.mark.parametrize(
    "body",
    [
        b'{"images": [{"base64": "%s"}]}' % (b"A" * 99_999 + b"!"),
        b'{"images": [{"base64": "%s"}]}' % (b"A" * 99_999),
        b'{"images": [{"id": "%s"}]}' % (b"A" * 100_000),
        b'{"%s": 1}' % (b"A" * 100_000),
        b'{"images": [{"base64": "%s' % (b"A" * 100_000),
        b'{"images": [{"base64": "%s"}]}' % (b"AA==" + b"A" * 9_999_996),
    ],
    ids=["no base64", "cut base64", "long id", "long name", "no end", "two texts in one"],
)
def test_a_long_text_is_an_image_in_base64_or_refused(http: TestClient, body: bytes) -> None:
    answer = http.post(PREDICTIONS, content=body, headers=JSON)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), answer.text[:300]
