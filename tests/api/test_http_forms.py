"""One request, in every form it can take: the same bytes come back."""

import base64
import io

import numpy as np
import pytest
from answers_read import npy, tensors
from PIL import Image
from requests_made import ACTIVATIONS, FEATURE_MAP, NPY, PNG, PREDICTIONS, SEVEN, SEVEN_BASE64
from served_models import Gallery, inputs_of
from starlette.testclient import TestClient

from layerscope.demo import samples

ROUTES = [
    pytest.param(ACTIVATIONS, {"layers": "conv*,dense", "format": "safetensors"}, id="safetensors"),
    pytest.param(ACTIVATIONS, {"layers": "dense", "statistics": "true"}, id="json"),
    pytest.param(FEATURE_MAP, {"layer": "conv1", "channels": "0,3-5", "scale": "2"}, id="picture"),
    pytest.param(PREDICTIONS, {"top": "3"}, id="predictions"),
]


def png(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(("url", "options"), ROUTES)
def test_every_form_gets_the_same_bytes(
    http: TestClient, seven: str, url: str, options: dict[str, str]
) -> None:
    answers = [
        http.get(url, params={"image": seven, **options}),
        http.post(url, params=options, content=SEVEN, headers=PNG),
        http.post(url, files={"image": SEVEN}, data=options),
        http.post(url, files={"image": SEVEN}, params=options),
        http.post(url, json={"images": [{"id": seven}], **options}),
        http.post(url, json={"images": [{"base64": SEVEN_BASE64}], **options}),
        http.post(url, json={"inputs": {"input": [{"id": seven}]}, **options}),
        http.post(url, params={"image": seven, **options}, json={}),
    ]

    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["content-type"] for answer in answers}) == 1


def test_options_are_typed_in_json_as_they_are_written_in_a_query(http: TestClient, seven: str) -> None:
    options = {
        "layers": ["conv1", "conv2"],
        "channels": [0, 3],
        "region": [1, 1, 7, 5],
        "stride": 2,
        "statistics": True,
    }
    written = {
        "layers": "conv1,conv2",
        "channels": "0,3",
        "region": "1,1,7,5",
        "stride": "2",
        "statistics": "true",
    }
    in_json = http.post(ACTIVATIONS, json={"images": [{"id": seven}], **options})
    in_query = http.get(ACTIVATIONS, params={"image": seven, **written})

    assert in_json.status_code == 200
    assert in_json.content == in_query.content


def test_a_batch_keeps_its_order_in_every_form(http: TestClient) -> None:
    files = [samples()[name].read_bytes() for name in ("two", "seven", "two")]
    ids = [http.post("/v1/images", content=data, headers=PNG).json()["id"] for data in files]
    encoded = [{"base64": base64.b64encode(data).decode()} for data in files]
    options = {"layers": "dense", "format": "npz"}
    answers = [
        http.get(ACTIVATIONS, params={"image": ids, **options}),
        http.post(ACTIVATIONS, files=[("image", data) for data in files], data=options),
        http.post(ACTIVATIONS, json={"images": encoded, **options}),
        http.post(ACTIVATIONS, json={"images": [{"id": each} for each in ids], **options}),
        http.post(ACTIVATIONS, json={"image": ids, **options}),
    ]

    assert len({answer.content for answer in answers}) == 1
    values = tensors(answers[0])["dense"]
    np.testing.assert_array_equal(values[0], values[2])
    assert np.abs(values[0] - values[1]).max() > 0.1


def test_a_tensor_is_fed_as_it_is_unless_it_is_to_be_preprocessed(http: TestClient) -> None:
    pixels = np.asarray(Image.open(io.BytesIO(SEVEN)))
    options = {"layers": "input,dense", "format": "safetensors"}
    as_it_is = tensors(http.post(ACTIVATIONS, content=npy(pixels[..., None]), params=options, headers=NPY))
    prepared = tensors(
        http.post(ACTIVATIONS, content=npy(pixels), params={**options, "preprocess": "true"}, headers=NPY)
    )
    picture = tensors(http.post(ACTIVATIONS, content=SEVEN, params=options, headers=PNG))

    np.testing.assert_array_equal(as_it_is["input"][0, ..., 0], pixels.astype(np.float32))
    for name, values in picture.items():
        np.testing.assert_array_equal(prepared[name], values)
    np.testing.assert_array_equal(
        picture["input"][0, ..., 0], pixels.astype(np.float32) * np.float32(1 / 255)
    )


def test_a_tensor_says_what_it_is_whatever_its_content_type(http: TestClient) -> None:
    values = npy(np.ones((2, 28, 28, 1), np.float32))
    options = {"layers": "dense", "format": "npy"}
    raw = http.post(ACTIVATIONS, content=values, params=options, headers=NPY)
    part = http.post(ACTIVATIONS, files={"image": values}, data=options)
    mislabelled = http.post(ACTIVATIONS, content=values, params=options, headers=PNG)

    assert raw.content == part.content == mislabelled.content
    assert tensors(raw)["dense"].shape == (2, 32)


def test_several_inputs_come_by_name_in_a_form_or_in_json(gallery: Gallery) -> None:
    random = np.random.default_rng(3)
    left = [png(random.integers(0, 256, (8, 8), dtype=np.uint8)) for _ in range(2)]
    right = [png(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(2)]
    options = {"layers": "all", "format": "npz"}
    parts = [*(("left", data) for data in left), *(("right", data) for data in right)]
    form = gallery.http.post("/v1/models/pair/activations", files=parts, data=options)
    named = {"left": left, "right": right}
    inputs = {
        name: [{"base64": base64.b64encode(data).decode()} for data in files] for name, files in named.items()
    }
    body = gallery.http.post("/v1/models/pair/activations", json={"inputs": inputs, **options})

    assert form.content == body.content
    found = tensors(form)
    for name, files in named.items():
        pixels = [np.asarray(Image.open(io.BytesIO(data))).reshape(8, 8, -1) for data in files]
        np.testing.assert_allclose(found[name], np.stack(pixels) / 255, atol=1e-6)
    expected = gallery.examples["pair"].values(found["left"], found["right"])
    np.testing.assert_allclose(found["score"], expected["score"], atol=1e-4)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        pytest.param({"left": 1}, "left, right", id="one is missing"),
        pytest.param({"left": 1, "right": 2}, "left 1, right 2", id="numbers differ"),
        pytest.param({"image": 1}, "left, right", id="image names no input"),
        pytest.param({"left": 1, "right": 1, "middle": 1}, "left, right", id="one too many"),
    ],
)
def test_inputs_that_do_not_fit_the_model(gallery: Gallery, parts: dict[str, int], words: str) -> None:
    left, right = inputs_of(gallery.examples["pair"].model, 1)
    arrays = {"left": left, "right": right}
    files = [(name, npy(arrays.get(name, left))) for name, count in parts.items() for _ in range(count)]
    answer = gallery.http.post("/v1/models/pair/activations", files=files)

    assert answer.status_code == 422
    assert answer.json()["code"] == "input_mismatch"
    assert words in answer.json()["error"]
