"""Text over HTTP: in the body and stored, with the tokens in every answer."""

import io
import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from starlette.testclient import TestClient
from tokenizers import Tokenizer
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult

from layerscope.demo import MODELS, TEXT_MODEL
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from text_networks import write_text_models

SENTENCE = "A class has a Method; integers 😀 don't."
HEADER = "Inference-Header-Content-Length"
ROUTE = "/v1/models/sentences"
ROW = ["text", "id", "start", "end"]


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    """The service over the text model, a model of words with a table in it, and the demo model."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(MODELS / "digits", folder / "digits")
    models = write_text_models(folder)
    texts = tmp_path_factory.mktemp("texts")
    (texts / "reviews.jsonl").write_text(json.dumps({"body": SENTENCE}) + "\nnone\n")
    settings = Settings(
        models=folder, places={"texts": str(texts)}, datasets=tmp_path_factory.mktemp("data_sets")
    )
    with TestClient(create_app(settings)) as http:
        http.words = models["words"]
        yield http


@pytest.fixture(scope="module")
def reference():
    """The tokenizer and the model as their own packages read them."""
    return Tokenizer.from_file(str(TEXT_MODEL / "tokenizer.json")), keras.models.load_model(
        TEXT_MODEL / "model.keras"
    )


def post(http, path="/activations", **body):
    return http.post(ROUTE + path, json=body)


def error_of(answer):
    return answer.status_code, answer.json()["code"]


def test_a_text_gives_what_the_model_gives_for_its_tokens(http, reference):
    tokenizer, model = reference
    texts = [SENTENCE, "", "א good مرحبا", "\u0000 \ufffe", "numbers " * 3]
    wanted = tokenizer.encode_batch(texts)
    answer = post(http, layers=["embedding", "probabilities"], text=texts).json()
    assert [[each["id"] for each in row] for row in answer["tokens"]] == [each.ids for each in wanted]
    first = [tuple(each[name] for name in ROW) for each in answer["tokens"][0]]
    assert first[0] == ("[CLS]", wanted[0].ids[0], None, None)
    assert first[1][0] == "a"
    assert [SENTENCE[start:end].lower() for text, _, start, end in first if text in {"class", "method"}] == [
        "class",
        "method",
    ]
    assert first[-1] == ("[PAD]", 0, None, None)
    expected = model(np.array([each.ids for each in wanted], np.int32)).numpy()
    np.testing.assert_allclose(answer["layers"][-1]["values"], expected, rtol=1e-4, atol=1e-5)
    assert answer["layers"][0]["axes"] == ["batch", "tokens", "channels"]


def test_a_model_tells_what_it_makes_of_text(http):
    assert http.get(ROUTE).json()["tokenizer"] == {
        "kind": "tokenizers",
        "vocabulary": 1500,
        "inputs": {"tokens": "ids"},
        "length": 32,
        "padding": "post",
        "padding_id": 0,
        "truncation": "post",
    }
    of_words = http.get("/v1/models/words").json()["tokenizer"]
    assert (of_words["kind"], of_words["vocabulary"], of_words["length"]) == ("text_vectorization", 5, None)
    assert http.get("/v1/models/digits").json()["tokenizer"] is None


def test_each_of_64_texts_gets_what_it_gets_alone(http):
    texts = [" ".join(["class", "string", "3"] * (number // 3 + 1))[: 5 * number] for number in range(64)]
    together = post(http, "/predictions", text=texts, top=4).json()["outputs"][0]["predictions"]
    for number in (0, 7, 63):
        (alone,) = post(http, "/predictions", text=[texts[number]], top=4).json()["outputs"][0]["predictions"]
        assert [each["class"] for each in alone] == [each["class"] for each in together[number]]
        np.testing.assert_allclose(
            [each["value"] for each in alone], [each["value"] for each in together[number]], rtol=1e-5
        )
    assert error_of(post(http, text=texts * 2)) == (413, "too_many")


def test_a_long_text_is_cut_and_the_answer_says_so(http):
    answer = post(http, layers=["probabilities"], text=["class " * 10_000]).json()
    assert (
        answer["warnings"][-1] == "Text 0 is longer than the model takes: 9,970 of its tokens were left out."
    )
    assert (len(answer["tokens"][0]), answer["tokens"][0][-1]["text"]) == (32, "[SEP]")
    # The JSON of a text beyond 64 KiB is read apart from the rest.
    assert post(http, layers=["probabilities"], text=['é\n"' * 30_000]).status_code == 200
    assert error_of(post(http, text=["word " * 60_000])) == (413, "text_too_long")


def test_tokens_stand_for_a_text(http):
    whole = post(http, layers=["probabilities"], text=[SENTENCE]).json()
    ids = [each["id"] for each in whole["tokens"][0] if each["text"] != "[PAD]"]
    answer = post(http, layers=["probabilities"], tokens=[ids]).json()
    assert answer["layers"] == whole["layers"]
    assert [each["text"] for each in answer["tokens"][0]] == [each["text"] for each in whole["tokens"][0]]
    assert error_of(post(http, tokens=[[99_999]])) == (422, "input_mismatch")
    assert error_of(post(http, tokens=[ids * 9])) == (413, "text_too_long")


def test_a_stored_text_is_an_image_for_every_link(http):
    text = SENTENCE.encode()
    stored = http.post("/v1/images", content=text, headers={"Content-Type": "text/plain; charset=utf-8"})
    again = http.post("/v1/images", json={"text": [SENTENCE]})
    assert (stored.status_code, again.status_code, stored.json()["format"]) == (201, 200, "text")
    name = stored.json()["id"]
    assert again.json()["id"] == name
    sent = post(http, "/predictions", text=[SENTENCE]).json()
    assert sent["images"] == [name]
    found = http.get(f"{ROUTE}/predictions", params={"image": name})
    assert found.json() == sent
    assert (
        http.get(
            f"{ROUTE}/predictions", params={"image": name}, headers={"If-None-Match": found.headers["ETag"]}
        ).status_code
        == 304
    )
    for path, option in (("feature-map.png", "layer"), ("statistics", "layers")):
        assert http.get(f"{ROUTE}/{path}", params={"image": name, option: "embedding"}).status_code == 200, (
            path
        )
    assert http.get(f"/v1/images/{name}").json()["width"] is None
    assert error_of(http.get(f"/v1/images/{name}/thumbnail.png")) == (422, "no_picture")
    inspected = post(http, "/inspect", text=[SENTENCE]).json()
    assert inspected["tokens"] == sent["tokens"]
    tokens = http.post("/v1/images", json={"tokens": [[2, 5, 3]]}).json()["id"]
    assert tokens != name
    assert http.get(f"{ROUTE}/predictions", params={"image": tokens}).json()["tokens"][0][1]["id"] == 5
    assert http.delete(f"/v1/images/{tokens}").status_code == 204


def test_comparisons_take_texts_and_name_their_tokens(http):
    texts = [SENTENCE, "a string"]
    tokens = post(http, "/predictions", text=texts).json()["tokens"]
    one = post(http, "/compare", text=texts, layers=["norm2b"]).json()
    two = http.post(
        "/v1/compare", json={"reference": "sentences", "candidate": "sentences", "text": texts}
    ).json()
    assert one["tokens"] == two["tokens"] == tokens
    assert two["verdict"] == "same"
    swept = post(http, "/ablations", text=texts[:1], layer="norm2b").json()
    assert swept["tokens"] == tokens[:1]


def test_every_format_carries_the_tokens(http, tmp_path):
    wanted = post(http, layers=["embedding"], text=[SENTENCE]).json()["tokens"]
    answer = post(http, layers=["embedding"], text=[SENTENCE], format="safetensors")
    file = tmp_path / "answer.safetensors"
    file.write_bytes(answer.content)
    with safe_open(file, "np") as opened:
        assert json.loads(opened.metadata()["tokens"]) == wanted
    plan = post(http, "/plan", layers=["embedding"], text=[SENTENCE]).json()
    assert plan["formats"]["safetensors"]["bytes"] == len(answer.content)


def test_a_text_layer_inside_the_model_is_read_and_left_out(http):
    texts = ["The FILM, was good!", "good film of  the"]
    answer = http.post(
        "/v1/models/words/activations", json={"text": texts, "layers": ["embedding", "out"]}
    ).json()
    expected = http.words(keras.ops.convert_to_tensor(np.array([[text] for text in texts], object))).numpy()
    np.testing.assert_allclose(answer["layers"][-1]["values"], expected, rtol=1e-4, atol=1e-5)
    assert [[each["id"] for each in row] for row in answer["tokens"]] == [[2, 3, 1, 4], [4, 3, 1, 2]]
    refused = http.post("/v1/models/words/predictions", json={"text": ["a", "b c"]})
    assert error_of(refused) == (422, "input_mismatch")


def test_a_text_of_a_data_set_stands_for_the_text(http):
    body = {"name": "reviews", "data": "texts:reviews.jsonl:body"}
    assert http.post("/v1/datasets", json=body).status_code == 201
    found = http.get(f"{ROUTE}/predictions", params={"image": "dataset:reviews/0"}).json()
    assert found["outputs"] == post(http, "/predictions", text=[SENTENCE]).json()["outputs"]
    row = http.get("/v1/datasets/reviews/rows/0").json()
    assert (row["format"], row["width"], row["shape"]) == ("text", None, None)
    assert error_of(http.get("/v1/datasets/reviews/rows/0/thumbnail.png")) == (422, "no_picture")
    assert error_of(http.get("/v1/datasets/reviews/rows/1")) == (422, "text_unreadable")


def inferred(http, name, inputs, *outputs, **parameters):
    """What a client of Triton makes of the answer of the Open Inference Protocol."""
    body, length = InferenceServerClient.generate_request_body(
        inputs, outputs=[InferRequestedOutput(each) for each in outputs], parameters=parameters
    )
    headers = {} if length is None else {HEADER: str(length)}
    answer = http.post(f"/v2/models/{name}/infer", content=body, headers=headers)
    if answer.status_code != 200:
        return answer
    length = answer.headers.get(HEADER)
    return InferResult.from_response_body(answer.content, header_length=length and int(length))


def input_of(name, values, datatype="BYTES", *, binary=True):
    return InferInput(name, values.shape, datatype).set_data_from_numpy(values, binary_data=binary)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(("name", "shape"), [("text", [2]), ("tokens", [2, 1])])
def test_the_inference_protocol_takes_texts_and_their_ids(http, name, shape, binary):
    texts = [SENTENCE, "class " * 99]
    wanted = post(http, layers=["embedding", "probabilities"], text=texts).json()
    array = np.array(texts, object).reshape(shape)
    result = inferred(http, "sentences", [input_of(name, array, binary=binary)], "embedding", "probabilities")
    for number, address in enumerate(("embedding", "probabilities")):
        np.testing.assert_allclose(result.as_numpy(address), wanted["layers"][number]["values"], rtol=1e-6)
    said = result.get_response()["parameters"]
    assert json.loads(said["tokens"]) == wanted["tokens"]
    assert said["warnings"].splitlines() == wanted["warnings"]
    for kind in (np.int32, np.int64):
        ids = np.array([[token["id"] for token in text] for text in wanted["tokens"]], kind)
        same = inferred(http, "sentences", [input_of("tokens", ids, f"INT{ids.itemsize * 8}")], "embedding")
        np.testing.assert_array_equal(same.as_numpy("embedding"), result.as_numpy("embedding"))


def test_the_inference_protocol_gives_a_text_to_all_inputs_and_leaves_padding_out_of_pictures(http):
    text = input_of("text", np.array(["The film was bad"], object))
    result = inferred(http, "segments", [text], "kept", "words@png", scale=1)
    body = {"text": ["The film was bad"], "layers": ["kept"]}
    wanted = http.post("/v1/models/segments/activations", json=body).json()
    np.testing.assert_allclose(result.as_numpy("kept"), wanted["layers"][0]["values"], rtol=1e-6)
    (picture,) = result.as_numpy("words@png")
    assert Image.open(io.BytesIO(picture)).size == (4, 4)


@pytest.mark.parametrize(
    ("name", "input_name", "elements", "code"),
    [
        ("digits", "text", [b"a"], "no_tokenizer"),
        ("sentences", "text", [b"caf\xe9"], "text_unreadable"),
        ("sentences", "text", [b"word " * 60_000], "text_too_long"),
        ("sentences", "words", [b"a"], "input_mismatch"),
        ("segments", "token_ids", [b"a"], "input_mismatch"),
    ],
)
def test_texts_that_the_inference_protocol_cannot_give_to_a_model_are_refused(
    http, name, input_name, elements, code
):
    answer = inferred(http, name, [input_of(input_name, np.array(elements, object))])
    assert answer.json()["code"] == code, answer.text
    assert answer.status_code == (413 if code == "text_too_long" else 400)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"text": "not a list"}, 400, "invalid_request"),
        ({"text": [1]}, 400, "invalid_request"),
        ({"text": []}, 422, "input_mismatch"),
        ({"tokens": [1]}, 400, "invalid_request"),
        ({"tokens": [[1.5]]}, 400, "invalid_request"),
        ({"tokens": [[-1]]}, 400, "invalid_request"),
        ({"tokens": [[True]]}, 400, "invalid_request"),
        ({"tokens": [[2**40]]}, 400, "invalid_request"),
        ({"text": ["a"], "tokens": [[1]]}, 400, "invalid_request"),
        ({"text": ["a"], "images": []}, 400, "invalid_request"),
    ],
)
def test_what_is_no_text_is_refused(http, body, status, code):
    assert error_of(post(http, **body)) == (status, code)


def test_text_that_is_not_utf8_or_goes_to_a_model_of_images_is_refused(http):
    plain = {"Content-Type": "text/plain"}
    assert http.post(f"{ROUTE}/predictions", content=SENTENCE.encode(), headers=plain).status_code == 200
    for path in (f"{ROUTE}/predictions", "/v1/images"):
        assert error_of(http.post(path, content=b"caf\xe9", headers=plain)) == (422, "text_unreadable")
        assert error_of(http.post(path, content=b"a" * 300_000, headers=plain)) == (413, "text_too_long")
        assert error_of(
            http.post(path, content=b'{"text": ["\\ud83d"]}', headers={"Content-Type": "application/json"})
        ) == (400, "invalid_request")
    assert error_of(http.post("/v1/models/digits/predictions", json={"text": ["a"]})) == (422, "no_tokenizer")
    assert error_of(http.post("/v1/images", json={"text": ["a", "b"]})) == (400, "invalid_request")
    limits = {row["name"]: row["value"] for row in http.get("/v1/limits").json()["limits"]}
    assert (limits["text_bytes"], limits["text_tokens"]) == (262_144, 65_536)
