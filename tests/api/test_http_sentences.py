"""What each layer makes of sentences, over HTTP: attention, attributions a token, pictures with tokens, comparisons."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from layerscope.demo import TEXT_MODEL
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

ROUTE = "/v1/models/sentences"
TEXTS = ["A string has characters \u05e9\u05dc\u05d5\u05dd.", "The loop ends with an exception, or not."]


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(TEXT_MODEL, folder / "sentences" / "1")
    with TestClient(create_app(Settings(models=folder))) as http:
        yield http


def post(http, path, **body):
    answer = http.post(f"{ROUTE}{path}", json={"text": TEXTS, **body})
    assert answer.status_code == 200, answer.text
    return answer


def pixels(answer):
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def test_attention_is_listed_and_has_tokens_on_both_axes(http):
    layers = {each["address"]: each for each in http.get(f"{ROUTE}/layers").json()["layers"]}
    assert layers["attention1"]["sites"] == ["output", "input", "scores"]
    answer = post(http, "/activations", layers=["all@scores"]).json()
    assert [each["address"] for each in answer["layers"]] == ["attention1@scores", "attention2@scores"]
    is_token = np.array([[token["text"] != "[PAD]" for token in text] for text in answer["tokens"]])
    for each in answer["layers"]:
        assert each["axes"] == ["batch", "heads", "query", "key"]
        sums = np.moveaxis(np.sum(each["values"], axis=-1), 1, -1)
        np.testing.assert_allclose(sums[is_token], 1, atol=1e-5)


def test_pictures_name_the_tokens(http):
    atlas = post(http, "/feature-map.json", layer="attention1@scores", labels=True).json()
    drawn = post(http, "/feature-map.png", layer="attention1@scores", labels=True)
    others = http.post(
        f"{ROUTE}/feature-map.png",
        json={"text": [TEXTS[0], "A for statement."], "layer": "attention1@scores", "labels": True},
    )
    tile = atlas["layers"][0]["tiles"][-1]
    assert (tile["width"], tile["height"], tile["image"]) == (32 * 12, 32 * 12, 1)
    assert pixels(drawn).shape[:2] == (atlas["height"], atlas["width"])
    beside = (slice(tile["y"], tile["y"] + tile["height"]), slice(tile["x"] - 50, tile["x"]))
    assert (pixels(drawn)[-tile["height"] :, beside[1]] != pixels(others)[-tile["height"] :, beside[1]]).any()


@pytest.mark.parametrize("method", ["occlusion", "saliency"])
def test_a_sentence_is_drawn_with_a_colour_for_each_token(http, method):
    answer = post(http, f"/attributions/{method}").json()
    assert answer["layers"][0]["axes"] == ["batch", "tokens"]
    assert np.shape(answer["layers"][0]["values"]) == np.shape(answer["tokens"])
    picture = post(http, f"/attributions/{method}.png")
    assert float(picture.headers["x-value-min"]) == -float(picture.headers["x-value-max"])
    largest = np.abs(answer["layers"][0]["values"]).max()
    assert float(picture.headers["x-value-max"]) == pytest.approx(largest, rel=1e-5)
    assert pixels(picture).shape[1] == 640


def test_sentences_are_compared_by_the_means_of_their_tokens_without_padding(http):
    answer = post(http, "/compare", features="mean", layers=["embedding", "add1a", "sentence"]).json()
    found = {each["address"]: each["cosine"] for each in answer["layers"]}
    values = post(http, "/activations", layers=["embedding", "add1a"]).json()
    kept = [[token["text"] != "[PAD]" for token in text] for text in values["tokens"]]
    for layer in values["layers"]:
        first, second = (
            np.array(each)[mask].mean(axis=0) for each, mask in zip(layer["values"], kept, strict=True)
        )
        cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
        assert found[layer["address"]] == pytest.approx(cosine, abs=1e-5)
    flat = post(http, "/compare", layers=["embedding"]).json()["layers"][0]["cosine"]
    assert abs(flat - found["embedding"]) > 1e-3
    assert pixels(post(http, "/compare.png", features="mean")).size


def test_positions_have_figures(http):
    (layer,) = post(http, "/statistics", layers=["embedding"], positions=True).json()["layers"]
    assert layer["positions"]["axis"] == "tokens"
    assert len(layer["positions"]["mean"]) == layer["shape"][1] == 32
