"""Sweeps over HTTP: numbers, streams, tensors and pictures of what each unit does for an output."""

import io
import json
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from requests_made import PNG, SEVEN
from starlette.testclient import TestClient

from layerscope.demo import samples

ABLATIONS = "/v1/models/digits/ablations"


def ask(http: TestClient, image: str, suffix: str = "", headers: Any = None, **options: object) -> Any:
    answer = http.get(ABLATIONS + suffix, params={"image": image, **options}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture(scope="module")
def logits(digits: keras.Model) -> Any:
    """The logits of the demo model with a change of conv2, by its layers."""
    kernel, bias = digits.layers[-1].get_weights()

    def logits(pixels: Any, change: Any) -> Any:
        hidden = pixels
        for layer in digits.layers[1:-1]:
            hidden = np.array(layer(hidden))
            if layer.name == "conv2":
                change(hidden)
        return (hidden @ kernel + bias)[0]

    return logits


def test_the_effect_of_each_channel_is_that_of_the_models_own_layers(
    http: TestClient, seven: str, logits: Any
) -> None:
    body = ask(http, seven, layer="conv2").json()
    values = http.get("/v1/models/digits/activations", params={"image": seven, "layers": "input"}).json()
    pixels = np.array(values["layers"][0]["values"], np.float32)

    def effect(channel: int) -> float:
        def take_away(hidden: Any) -> None:
            hidden[..., channel] = 0

        return float((logits(pixels, lambda hidden: None) - logits(pixels, take_away))[7])

    np.testing.assert_allclose(body["effects"][0], [effect(channel) for channel in range(16)], atol=1e-5)
    assert body["order"][0] == np.argsort(-np.array(body["effects"][0])).tolist()
    assert (body["layers"], body["by"], body["set"], body["shape"]) == (["conv2"], "channel", 0, [16])
    assert body["targets"][0]["class"] == body["clean"][0]["class"] == 7
    assert body["clean"][0]["output"] == body["targets"][0]["value"]
    assert body["complete"] is True


def test_an_effect_is_that_of_the_edit_of_the_same_name(http: TestClient, seven: str) -> None:
    body = ask(http, seven, layer="conv2", by="place", grid=2, metric="output", set="mean").json()
    for effect, (x0, y0, x1, y1) in zip(np.ravel(body["effects"][0]), body["regions"], strict=True):
        edit = f"conv2;region={x0},{y0},{x1},{y1};set=mean"
        answer = http.get("/v1/models/digits/predictions", params={"image": seven, "edit": edit, "top": 10})
        values = {row["class"]: row["value"] for row in answer.json()["outputs"][0]["predictions"][0]}
        assert effect == pytest.approx(body["clean"][0]["output"] - values[7], abs=1e-6)


def test_layers_whose_loss_changes_the_class(http: TestClient, seven: str) -> None:
    body = ask(http, seven, layers="conv*,dense", metric="distance", top=2).json()
    assert body["layers"] == ["conv1", "conv2", "conv3", "dense"]
    assert len(body["order"][0]) == 2
    assert {each["unit"] for each in body["flips"][0]} == {0, 1, 2, 3}
    assert all(each["class"] != 7 for each in body["flips"][0])


def test_values_of_another_image_and_of_the_same(http: TestClient, seven: str) -> None:
    other = http.post("/v1/images", content=samples()["zero"].read_bytes(), headers=PNG).json()["id"]
    found = ask(http, seven, layer="conv2", patch=other).json()
    assert (found["set"], found["patch"]) == (None, other)
    assert np.any(found["effects"])
    whole = ask(http, seven, layers="conv1,dense", patch=other).json()
    assert whole["recoveries"] == [pytest.approx([1, 1], abs=1e-4)]
    gap = -whole["effects"][0][0]
    assert found["recoveries"] == [pytest.approx(np.array(found["effects"][0]) / -gap, abs=1e-4)]
    assert ask(http, seven, layer="conv2").json()["recoveries"] is None
    same = ask(http, seven, layer="conv2", patch=seven).json()
    assert same["unchanged"] == [list(range(16))]
    assert not np.any(same["effects"])
    assert same["recoveries"] == [[None] * 16]


def test_several_images_and_other_forms(http: TestClient, seven: str) -> None:
    pictures = [SEVEN, samples()["three"].read_bytes()]
    files = [("image", ("digit.png", each, "image/png")) for each in pictures]
    both = http.post(ABLATIONS, files=files, data={"layer": "conv3", "set": "mean"}).json()
    assert np.shape(both["effects"]) == (2, 16)
    assert [target["class"] for target in both["targets"]] == [7, 3]
    alone = ask(http, seven, layer="conv3", set="mean").json()
    assert alone["effects"] == both["effects"][:1]
    body = {"images": [{"id": seven}], "layer": "conv3", "set": "mean"}
    assert http.post(ABLATIONS, json=body).json() == alone


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
def test_a_stream_has_progress_and_effects_before_its_end(http: TestClient, seven: str, accept: str) -> None:
    options = {"layer": "conv1", "by": "place", "grid": 20 if accept.startswith("t") else 19}
    text = ask(http, seven, headers={"Accept": accept}, **options).text
    if accept.startswith("text"):
        lines = [block.split("\n") for block in text.strip().split("\n\n")]
        events = [(name.removeprefix("event: "), json.loads(data[6:])) for name, data in lines]
    else:
        events = [next(iter(json.loads(line).items())) for line in text.splitlines()]
    names = [name for name, _ in events]
    assert {"progress", "partial"} <= set(names)
    assert names[-1] == "result"
    result = events[-1][1]
    assert result == ask(http, seven, **options).json()
    partial = next(data for name, data in events if name == "partial")
    assert partial["image"] == 0
    known = np.array(partial["effects"], np.float64)
    assert 0 < np.isfinite(known).sum() < known.size
    np.testing.assert_array_equal(
        known[np.isfinite(known)], np.array(result["effects"][0], np.float64)[np.isfinite(known)]
    )


def test_effects_as_a_tensor(http: TestClient, seven: str) -> None:
    expected = ask(http, seven, layer="conv2", by="place", grid=3).json()["effects"]
    answer = ask(http, seven, layer="conv2", by="place", grid=3, format="npy")
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.content)), expected)
    screened = ask(http, seven, layer="conv2", screen=3, format="npy")
    assert np.isfinite(np.load(io.BytesIO(screened.content))).sum() == 3


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"layer": "conv3"}, (618, 274)),
        ({"layer": "conv3", "top": 3}, (618, 79)),
        ({"layers": "all", "set": "mean"}, (600, 124)),
        ({"layer": "conv2", "by": "place", "on": "input", "scale": 4}, (112, 112)),
    ],
)
def test_pictures(http: TestClient, seven: str, options: dict[str, object], size: tuple[int, int]) -> None:
    answer = ask(http, seven, ".png", **options)
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.text["metric"] == "score"
    assert picture.size == size
    assert len(set(picture.convert("RGB").get_flattened_data())) > 2
    webp = ask(http, seven, ".png", headers={"Accept": "image/webp"}, **options)
    assert Image.open(io.BytesIO(webp.content)).format == "WEBP"


def test_what_did_not_change_is_not_sent_again(http: TestClient, seven: str) -> None:
    first = ask(http, seven, layer="conv2")
    again = ask(http, seven, layer="conv2")
    assert "cache;desc=hit" in again.headers["Server-Timing"]
    params = {"image": seven, "layer": "conv2"}
    same = http.get(ABLATIONS, params=params, headers={"If-None-Match": first.headers["ETag"]})
    assert same.status_code == 304
    assert ask(http, seven, layer="conv2", metric="output").headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({}, 422, "option_invalid"),
        ({"layer": "conv1", "layers": "conv2"}, 422, "option_invalid"),
        ({"layer": "conv*"}, 422, "option_invalid"),
        ({"layer": "conv9"}, 422, "layer_not_found"),
        ({"layer": "probabilities"}, 422, "option_invalid"),
        ({"layer": "dense", "by": "place"}, 422, "option_invalid"),
        ({"layers": "conv*", "screen": 1}, 422, "option_invalid"),
        ({"layer": "conv1", "target": "nine"}, 422, "option_invalid"),
        ({"layer": "conv1", "set": "median"}, 422, "option_invalid"),
        ({"layer": "conv1", "patch": "sha256-0"}, 404, "image_not_found"),
        ({"layer": "conv1", "format": "xml"}, 422, "option_invalid"),
    ],
)
def test_what_cannot_be_swept_is_refused(
    http: TestClient, seven: str, options: dict[str, Any], status: int, code: str
) -> None:
    for suffix in ("", ".png"):
        answer = http.get(ABLATIONS + suffix, params={"image": seven, **options})
        assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_picture_shows_one_image(http: TestClient, seven: str) -> None:
    answer = http.get(f"{ABLATIONS}.png", params={"image": [seven, seven], "layer": "conv1"})
    assert (answer.status_code, answer.json()["code"]) == (422, "input_mismatch")


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "layer": st.sampled_from(["conv3", "dense", "input", "probabilities", "all", "", "x"]),
    "layers": st.sampled_from(["conv*", "dense,pool1", "type:Conv2D", ""]),
    "by": st.sampled_from(["channel", "place", "layer", "pixel"]),
    "set": st.sampled_from(["0", "mean", "nan", "1e30", "x"]),
    "grid": st.integers(-1, 65),
    "screen": st.integers(-1, 20),
    "metric": st.sampled_from(["score", "output", "distance", "x"]),
    "target": st.sampled_from(["argmax", "3", "10", "-1"]),
    "score": st.sampled_from(["logit", "probability", "log_probability"]),
    "position": st.sampled_from(["0", "1,1"]),
    "output": st.sampled_from(["probabilities", "none"]),
    "edit": st.sampled_from(["conv2;set=0", "dense;scale=nan", "conv3;channels=1;set=mean"]),
    "top": st.integers(0, 3),
}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(options=st.fixed_dictionaries({}, optional=VALUES), is_picture=st.booleans())
def test_any_options_are_answered_or_refused_with_an_error_of_ours(
    http: TestClient, seven: str, options: dict[str, Any], *, is_picture: bool
) -> None:
    answer = http.get(ABLATIONS + (".png" if is_picture else ""), params={"image": seven, **options})
    assert answer.status_code in {200, 400, 404, 413, 422}, answer.text
    assert answer.status_code == 200 or answer.json()["code"]
