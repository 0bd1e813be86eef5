"""What each layer makes of sentences, over HTTP: attention, attributions a token, pictures with tokens, comparisons."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image
from requests_made import NPY
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


def test_pictures_name_the_tokens_and_leave_out_padding(http):
    body = {"layer": "attention1@scores", "labels": True}
    atlas = post(http, "/feature-map.json", **body).json()
    drawn = pixels(post(http, "/feature-map.png", **body))
    found = post(http, "/activations", layers=["attention1@scores"]).json()
    scores, lengths = np.array(found["layers"][0]["values"]), list(map(drawn_tokens, found["tokens"]))
    longest = max(lengths)
    assert min(lengths) < longest < 32
    assert atlas["notes"][0] == f"{longest} of 32 tokens are drawn: the others are padding."
    assert drawn.shape[:2] == (atlas["height"], atlas["width"])
    for tile in atlas["layers"][0]["tiles"]:
        kept = scores[tile["image"], tile["channel"], :longest, :longest]
        assert (tile["width"], tile["height"]) == (longest * 12, longest * 12)
        assert (tile["value_min"], tile["value_max"]) == pytest.approx((kept.min(), kept.max()))
    # The tokens of the second text are beside its rows.
    others = pixels(
        post(http, "/feature-map.png", **body, text=[TEXTS[0], TEXTS[1].replace("loop", "class")])
    )
    beside = (slice(-tile["height"], None), slice(tile["x"] - 50, tile["x"]))
    assert (drawn[beside] != others[beside]).any()


def test_every_picture_of_a_layer_is_of_the_tokens_of_the_text(http):
    asked = {"text": TEXTS[:1], "layer": "embedding"}
    found = post(http, "/activations", text=TEXTS[:1], layers=["embedding"]).json()
    length = drawn_tokens(found["tokens"][0])
    (tile,) = post(http, "/feature-map.json", **asked).json()["layers"][0]["tiles"]
    assert (tile["height"], tile["width"]) == (length, 32)
    values = np.array(found["layers"][0]["values"])[0, :length, 5]
    curve = post(http, "/feature-map.png", **asked, channels="5", curves=True)
    ends = [float(curve.headers[f"x-value-{end}"]) for end in ("min", "max")]
    largest = np.abs(values).max()
    assert ends == pytest.approx([-largest, largest], rel=1e-5)


def drawn_tokens(text):
    """How many tokens of a text are no padding."""
    return sum(token["text"] != "[PAD]" for token in text)


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


def test_ids_that_came_as_an_array_are_drawn_as_bars_with_their_tokens_and_without_padding(http):
    (tokens,) = post(http, "/predictions", text=TEXTS[1:]).json()["tokens"]
    length = drawn_tokens(tokens)
    file = io.BytesIO()
    np.save(file, np.array([token["id"] for token in tokens], np.int32))

    def drawn(array):
        return http.post(f"{ROUTE}/attributions/occlusion.png", content=array, headers=NPY)

    bars = pixels(drawn(file.getvalue()))
    assert len(bars) == 18 + length * 15
    # The first bars are those of the same special token, and the second ones of two words.
    other = io.BytesIO()
    np.save(
        other, np.array([tokens[0]["id"], tokens[3]["id"], *(token["id"] for token in tokens[2:])], np.int32)
    )
    others, names = pixels(drawn(other.getvalue())), slice(0, 40)
    assert (bars[18:33, names] == others[18:33, names]).all()
    assert (bars[33:48, names] != others[33:48, names]).any()


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
