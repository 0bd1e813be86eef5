"""The Open Inference Protocol over HTTP, where clients and the protocol leave something to chance."""

import base64
import gzip
import json
import re
from typing import Any

import numpy as np
import pytest
from answers_read import npy
from answers_read import tensors as native
from httpx2 import Response
from requests_made import SEVEN
from served_models import Gallery, inputs_of
from starlette.testclient import TestClient
from tritonclient.http import InferResult

INFER = "/v2/models/digits/infer"
HEADER = "Inference-Header-Content-Length"
IMAGE = base64.b64encode(SEVEN).decode()

ENTRY = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [IMAGE]}


def in_json(*outputs: str, **parameters: Any) -> dict[str, Any]:
    return {
        "inputs": [{**ENTRY}],
        "outputs": [{"name": name} for name in outputs],
        "parameters": parameters,
    }


def with_tensors(
    values: dict[str, np.ndarray], *outputs: str, path: str = INFER, http: TestClient, **headers: str
) -> Response:
    """A request in binary, as clients put it together."""
    entries = [
        {
            "name": name,
            "datatype": "FP32",
            "shape": each.shape,
            "parameters": {"binary_data_size": each.nbytes},
        }
        for name, each in values.items()
    ]
    document = {"inputs": entries, "parameters": {"binary_data_output": True}}
    if outputs:
        document["outputs"] = [{"name": name} for name in outputs]
    text = json.dumps(document).encode()
    body = text + b"".join(each.tobytes() for each in values.values())
    return http.post(path, content=body, headers={HEADER: str(len(text)), **headers})


def tensors(answer: Response) -> InferResult:
    assert answer.status_code == 200, answer.text
    length = answer.headers.get(HEADER)
    return InferResult.from_response_body(answer.content, header_length=length and int(length))


def test_json_all_the_way(http: TestClient) -> None:
    answer = http.post(INFER, json=in_json("dense", "conv1@png"))

    assert answer.headers["content-type"] == "application/json"
    assert HEADER not in answer.headers
    dense, picture = answer.json()["outputs"]
    assert (dense["datatype"], dense["shape"], len(dense["data"])) == ("FP32", [1, 32], 32)
    assert (picture["datatype"], picture["shape"]) == ("BYTES", [1])
    assert base64.b64decode(picture["data"][0]).startswith(b"\x89PNG")


def test_values_are_those_of_the_native_route(http: TestClient) -> None:
    image = np.random.default_rng(5).random((3, 28, 28, 1), np.float32)
    answer = tensors(with_tensors({"input": image}, "conv1", "conv1@preactivation", "last:conv", http=http))

    layers = {"layers": "conv1,conv1@preactivation,last:conv", "format": "safetensors"}
    headers = {"Content-Type": "application/x-npy"}
    expected = native(
        http.post("/v1/models/digits/activations", params=layers, content=npy(image), headers=headers)
    )
    for name in ("conv1", "conv1@preactivation"):
        np.testing.assert_array_equal(answer.as_numpy(name), expected[name])
    assert answer.as_numpy("last:conv") is not None


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "image/png"])
def test_the_header_decides_and_not_the_content_type(http: TestClient, content_type: str) -> None:
    image = np.zeros((1, 28, 28, 1), np.float32)
    answer = with_tensors({"input": image}, http=http, **{"Content-Type": content_type})

    assert answer.headers["content-type"] == "application/octet-stream"
    assert len(tensors(answer).get_response()["outputs"]) == 1


def test_a_body_that_is_only_the_input(http: TestClient) -> None:
    image = np.random.default_rng(6).random((2, 28, 28, 1), np.float32)
    raw = http.post(INFER, content=image.tobytes(), headers={HEADER: "0"})
    (output,) = tensors(raw).get_response()["outputs"]

    assert output["shape"] == [2, 10]
    again = tensors(with_tensors({"input": image}, http=http))
    np.testing.assert_array_equal(tensors(raw).as_numpy(output["name"]), again.as_numpy(output["name"]))
    assert http.post(INFER, content=image.tobytes()[:-1], headers={HEADER: "0"}).status_code == 400


def test_several_inputs_and_outputs_and_versions(gallery: Gallery) -> None:
    example = gallery.examples["pair"]
    left, right = inputs_of(example.model, 2)
    answer = with_tensors({"left": left, "right": right}, http=gallery.http, path="/v2/models/pair/infer")

    expected = example.values(left, right)
    for name in ("kind", "score"):
        np.testing.assert_allclose(tensors(answer).as_numpy(name), expected[name], rtol=1e-4, atol=1e-5)
    for path, version in (
        ("nested/versions/1", "1"),
        ("nested/versions/2", "2"),
        ("nested/versions/stable", "1"),
        ("nested", "2"),
    ):
        picture = inputs_of(gallery.examples["nested"].model, 1)[0]
        answer = with_tensors(
            {"picture": picture}, "backbone/block/conv", http=gallery.http, path=f"/v2/models/{path}/infer"
        )
        assert tensors(answer).get_response()["model_version"] == version
        assert answer.headers["x-model"] == f"nested@{version}"


def test_names_and_sizes_that_are_not_plain(gallery: Gallery) -> None:
    metadata = gallery.http.get("/v2/models/any_size", params={"outputs": "layers"}).json()
    assert metadata["inputs"][0]["shape"] == [-1, -1, -1, 3]
    assert gallery.http.get("/v2/models/odd").json()["inputs"][0]["name"] == "層"
    broken = [each for each in gallery.http.post("/v2/repository/index").json() if each["name"] == "broken"]
    assert [(each["state"], bool(each["reason"])) for each in broken] == [("UNAVAILABLE", True)]
    ready = gallery.http.post("/v2/repository/index", json={"ready": True}).json()
    assert {each["state"] for each in ready} == {"READY"}
    assert gallery.http.get("/v2/models/broken/ready").status_code == 503
    assert gallery.http.get("/v2/models/none/ready").status_code == 404


def test_nan_is_null_in_json_and_halves_are_binary_only(http: TestClient) -> None:
    image = np.full((1, 28, 28, 1), np.nan, np.float32)
    entry = {
        "name": "input",
        "datatype": "FP32",
        "shape": image.shape,
        "parameters": {"binary_data_size": image.nbytes},
    }
    text = json.dumps({"inputs": [entry], "outputs": [{"name": "input"}]}).encode()
    answer = http.post(INFER, content=text + image.tobytes(), headers={HEADER: str(len(text))})

    assert set(answer.json()["outputs"][0]["data"]) == {None}
    refused = http.post(INFER, json=in_json("dense", dtype="FP16"))
    assert (refused.status_code, "binary only" in refused.json()["error"]) == (415, True)


@pytest.mark.parametrize(
    ("path", "send", "status", "words"),
    [
        (INFER, {"json": in_json("zzz")}, 400, "unexpected inference output 'zzz' for model 'digits'"),
        (INFER, {"json": in_json("conv1@nowhere")}, 400, "unexpected inference output"),
        (INFER, {"json": in_json("conv*")}, 400, "unexpected inference output 'conv\\*' .* an output is one"),
        (INFER, {"json": in_json("dense", channels="50")}, 400, "no channel 50"),
        (INFER, {"json": in_json("dense", region="0,0,1,1")}, 400, "no rows and columns"),
        (INFER, {"json": in_json("conv1@png", colormap="mud")}, 400, "mud"),
        (INFER, {"json": in_json(*["conv1"] * 300)}, 413, "300 layer selectors"),
        (INFER, {"json": {"inputs": [ENTRY | {"data": ["not base64!"]}]}}, 400, "in base64"),
        (INFER, {"content": b"{"}, 400, "not valid JSON"),
        (INFER, {"content": b"{}", "headers": {"Content-Encoding": "br"}}, 415, "gzip or deflate"),
        (INFER, {"content": b"{}", "headers": {"Content-Encoding": "gzip"}}, 400, "no gzip"),
        ("/v2/models/letters/infer", {"json": in_json()}, 404, "Request for unknown model: 'letters'"),
        (
            "/v2/models/digits/versions/9/infer",
            {"json": in_json()},
            404,
            "Request for unknown model: 'digits'",
        ),
        (f"/v2/models/{'m' * 3000}/infer", {"json": in_json()}, 404, "Request for unknown model"),
        ("/v2/repository/index", {"content": b"["}, 400, "not valid JSON"),
        ("/v2/repository/index", {"content": b"[]"}, 400, "JSON object"),
        ("/v2/systemsharedmemory/region/x/register", {}, 400, "not supported"),
        ("/v2/cudasharedmemory/unregister", {}, 400, "not supported"),
        ("/v2/logging", {}, 400, "not supported"),
        ("/v2/trace/setting", {}, 400, "not supported"),
    ],
)
def test_errors_are_told_as_clients_expect_them(
    http: TestClient, path: str, send: dict[str, Any], status: int, words: str
) -> None:
    answer = http.post(path, **send)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert re.search(words, answer.json()["error"])


def test_a_timeout_can_only_shorten(http: TestClient) -> None:
    body = in_json("dense", timeout=1)
    body["inputs"][0]["data"] = [base64.b64encode(SEVEN + b"never seen").decode()]
    late = http.post(INFER, json=body)
    assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")

    for timeout in (0, 10_000_000, -1, "soon"):
        assert http.post(INFER, json=in_json("dense", timeout=timeout)).status_code == 200


def test_what_is_inflated_is_bounded_too(http: TestClient) -> None:
    body = gzip.compress(bytes(65 << 20))
    answer = http.post(INFER, content=body, headers={"Content-Encoding": "gzip"})

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
