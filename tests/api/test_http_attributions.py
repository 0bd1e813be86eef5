"""Attributions over HTTP: maps in every format, pictures of them, what is echoed, and what is refused."""

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from answers_read import npy, tensors
from PIL import Image
from requests_made import JSON, NPY, PNG, SEVEN, SEVEN_BASE64
from served_models import Gallery, inputs_of
from starlette.testclient import TestClient

from layerscope import demo
from layerscope.attribution import METHODS
from layerscope.execution.inputs import ImageSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

ROUTE = "/v1/models/digits@1/attributions/{}"
CHEAP = {"smoothgrad": {"samples": 2}, "integrated-gradients": {"steps": 2}, "occlusion": {"patch": 14}}


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine(demo.MODELS)
    engine.load_all()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def served(engine: LocalEngine) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models=None), engine)) as http:
        yield http


@pytest.fixture
def image(served: TestClient) -> str:
    return str(served.post("/v1/images", content=SEVEN, headers=PNG).json()["id"])


def expected(engine: LocalEngine, method: str) -> np.ndarray:
    options = METHODS[method].options(**CHEAP.get(method, {}))
    sources = {"image": [ImageSource(SEVEN)]}
    query = Query(model="digits", sources=sources, methods={method: options})
    return engine.run(query).attribution(method).maps


@pytest.mark.parametrize("form", ["json", "npy", "npz", "safetensors"])
@pytest.mark.parametrize("method", METHODS)
def test_maps_in_every_format(
    served: TestClient, engine: LocalEngine, image: str, method: str, form: str
) -> None:
    options = {"image": image, "format": form, **CHEAP.get(method, {})}

    answer = served.get(ROUTE.format(method), params=options)

    ((address, maps),) = tensors(answer).items()
    place = "input" if METHODS[method].kind == "input" else "conv3"
    assert answer.headers["x-layer"] == address == place
    np.testing.assert_array_equal(maps, expected(engine, method))
    if form == "json":
        assert answer.json()["attribution"]["layer"] == place


@pytest.mark.parametrize("method", METHODS)
def test_pictures_are_the_same_bytes_twice_and_change_no_value(
    served: TestClient, image: str, method: str
) -> None:
    options = {"image": image, **CHEAP.get(method, {})}
    before = served.get(ROUTE.format(method), params={**options, "format": "npy"}).content

    first, second = (served.get(ROUTE.format(f"{method}.png"), params=options) for _ in range(2))

    assert first.content == second.content
    assert Image.open(io.BytesIO(first.content)).size == Image.open(io.BytesIO(SEVEN)).size
    maps = np.load(io.BytesIO(before))
    if maps.min() >= 0:
        assert float(first.headers["x-value-min"]) == pytest.approx(maps.min(), rel=1e-6)
    assert float(first.headers["x-value-max"]) == pytest.approx(np.abs(maps).max(), rel=1e-6)
    assert served.get(ROUTE.format(method), params={**options, "format": "npy"}).content == before


def test_pictures_drawn_at_the_same_time_are_each_their_own(served: TestClient, image: str) -> None:
    asked = [{"image": image, "target": str(target), "scale": 4} for target in range(10)]

    def draw(options: dict[str, Any]) -> bytes:
        return bytes(served.get(ROUTE.format("gradcam.png"), params=options).content)

    alone = [draw(options) for options in asked]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(draw, asked * 3))

    assert together == alone * 3
    assert len(set(alone)) > 5


def test_a_picture_says_what_it_shows(served: TestClient, image: str) -> None:
    answer = served.get(ROUTE.format("gradcam.png"), params={"image": image, "target": "1"})

    said = Image.open(io.BytesIO(answer.content)).text  # type: ignore[attr-defined]
    assert said["method"] == "gradcam"
    assert said["target"] == "probabilities class 1 (1)"
    assert said["layer"] == answer.headers["x-layer"] == "conv3"
    assert json.loads(said["options"]) == {"target": "1"}
    assert said["digest"] == answer.headers["x-model-digest"]


def test_what_was_explained_is_echoed(served: TestClient, image: str) -> None:
    body = served.get(ROUTE.format("gradcam"), params={"image": image, "values": False}).json()

    said = body["attribution"]
    (target,) = said.pop("targets")
    value = target.pop("value")
    assert value > 0.99
    assert target == {
        "output": "probabilities",
        "address": "probabilities",
        "class": 7,
        "name": "7",
        "position": None,
        "score": "logits",
        "measured": "probabilities@preactivation",
    }
    (row,) = body["layers"]
    assert row["shape"] == [1, 7, 7]
    assert "values" not in row
    assert said["options"] == {
        "target": "argmax",
        "output": None,
        "position": None,
        "score": None,
        "layer": None,
    }
    assert body["model"]["name"] == "digits"


@pytest.mark.parametrize(
    ("score", "form"), [("logit", "logits"), ("log_probability", "log"), ("probability", "probability")]
)
def test_the_chosen_score_is_echoed(served: TestClient, image: str, score: str, form: str) -> None:
    options = {"image": image, "score": score}
    said = served.get(ROUTE.format("gradcam"), params=options).json()["attribution"]
    assert said["options"]["score"] == score
    (target,) = said["targets"]
    assert (target["score"], target["measured"]) == (form, "probabilities@preactivation")
    drawn = served.get(ROUTE.format("gradcam.png"), params=options)
    text = Image.open(io.BytesIO(drawn.content)).text  # type: ignore[attr-defined]
    assert json.loads(text["options"])["score"] == score


def test_all_forms_of_a_request_ask_for_the_same(served: TestClient, image: str) -> None:
    url, options = ROUTE.format("gradcam"), {"target": 3, "layer": "conv2"}
    answers = [
        served.get(url, params={**options, "image": image}),
        served.post(url, params=options, content=SEVEN, headers=PNG),
        served.post(url, data=options, files={"image": SEVEN}),
        served.post(url, json={**options, "images": [{"base64": SEVEN_BASE64}]}, headers=JSON),
    ]

    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.content for answer in answers}) == 1


def test_what_was_computed_is_not_computed_again(served: TestClient, engine: LocalEngine, image: str) -> None:
    for method in METHODS:
        options = {"image": image, **CHEAP.get(method, {})}
        first = served.get(ROUTE.format(method), params=options)
        runs = engine.runs

        again = served.post(ROUTE.format(method), params=CHEAP.get(method, {}), content=SEVEN, headers=PNG)
        drawn = served.get(ROUTE.format(f"{method}.png"), params=options)
        known = served.get(
            ROUTE.format(method), params=options, headers={"If-None-Match": first.headers["etag"]}
        )

        assert engine.runs == runs
        assert again.content == first.content
        assert "hit" in again.headers["server-timing"]
        assert drawn.status_code == 200
        assert known.status_code == 304


def test_a_class_that_is_named_and_the_likeliest_share_a_map(
    served: TestClient, engine: LocalEngine, image: str
) -> None:
    named = served.get(ROUTE.format("layercam"), params={"image": image, "target": "7", "layer": "conv2"})
    runs = engine.runs

    likeliest = served.get(ROUTE.format("layercam"), params={"image": image, "layer": "conv2"})

    assert engine.runs == runs
    assert tensors(likeliest)["conv2"].tobytes() == tensors(named)["conv2"].tobytes()


def test_methods_are_listed_with_their_options_cost_and_paper(served: TestClient) -> None:
    rows = {row["name"]: row for row in served.get("/v1/attributions").json()["methods"]}

    assert list(rows) == list(METHODS)
    for row in rows.values():
        assert "http" in row["paper"]
        assert row["cost"]
        assert row["place"] in {"layer", "input"}
    options = {option["name"]: option for option in rows["smoothgrad"]["options"]}
    assert options["samples"] == {
        "name": "samples",
        "default": 25,
        "meaning": "how many noisy versions of the image",
        "minimum": 1,
        "maximum": 1000,
        "choices": None,
    }
    baseline = next(each for each in rows["occlusion"]["options"] if each["name"] == "baseline")
    assert baseline["choices"] == ["black", "grey", "white", "mean", "zero", "mask", "unknown", "padding"]


@pytest.mark.parametrize(
    ("method", "options", "code", "words"),
    [
        ("nothing", {}, "option_invalid", "gradcam++"),
        ("gradcam", {"target": "10"}, "option_invalid", "10 classes"),
        ("gradcam", {"target": "cat"}, "option_invalid", "no class named 'cat'"),
        ("gradcam", {"target": "-1"}, "option_invalid", "no class named '-1'"),
        ("gradcam", {"output": "sizes"}, "option_invalid", "name one of probabilities"),
        ("gradcam", {"position": "1,2"}, "option_invalid", "no positions"),
        ("gradcam", {"position": "x"}, "option_invalid", "position"),
        ("gradcam", {"position": "-1"}, "option_invalid", "position"),
        ("gradcam", {"layer": "dense"}, "no_picture", "Its axes are channels"),
        ("gradcam", {"layer": "conv*"}, "option_invalid", "3 layers"),
        ("gradcam", {"layer": "conv9"}, "layer_not_found", "conv"),
        ("gradcam", {"samples": 3}, "option_invalid", "no option 'samples'"),
        ("saliency", {"input": "pictures"}, "option_invalid", "name one of input"),
        ("saliency", {"layer": "conv1"}, "option_invalid", "no option 'layer'"),
        ("gradcam", {"score": "log"}, "option_invalid", "score"),
        ("occlusion", {"score": "logit"}, "option_invalid", "no option 'score'"),
        ("eigencam", {"score": "logit"}, "option_invalid", "no option 'score'"),
        ("smoothgrad", {"samples": 0}, "option_invalid", "greater than or equal to 1"),
        ("smoothgrad", {"noise": "nan"}, "option_invalid", "noise"),
        ("occlusion", {"baseline": "red"}, "option_invalid", "baseline"),
        ("eigencam", {"target": "1"}, "option_invalid", "no option 'target'"),
    ],
)
def test_what_is_impossible_says_why(
    served: TestClient, image: str, method: str, options: dict[str, Any], code: str, words: str
) -> None:
    for suffix in ("", ".png"):
        answer = served.get(ROUTE.format(method + suffix), params={"image": image, **options})

        assert answer.status_code == 422
        assert answer.json()["code"] == code
        assert words in answer.json()["error"]


def test_more_runs_than_one_attribution_may_take_are_refused_before_any() -> None:
    engine = LocalEngine(demo.MODELS, Limits(attribution_runs=40))
    engine.load_all()
    with TestClient(create_app(Settings(models=None, limits=engine.limits), engine)) as http:
        url = ROUTE.format("smoothgrad")
        answer = http.post(url, params={"samples": 41}, content=SEVEN, headers=PNG)
        assert answer.status_code == 413
        assert answer.json()["code"] == "too_many"
        assert answer.json()["details"]["runs"] == 41
        assert answer.json()["details"]["limit"] == 40
        assert "fewer samples" in answer.json()["error"]
        assert engine.runs == 0
        assert http.post(url, params={"samples": 40}, content=SEVEN, headers=PNG).status_code == 200
    engine.close()


def test_an_answer_that_would_be_too_large_is_refused_before_any_run() -> None:
    engine = LocalEngine(demo.MODELS, Limits(json_elements=783))
    engine.load_all()
    with TestClient(create_app(Settings(models=None, limits=engine.limits), engine)) as http:
        answer = http.post(ROUTE.format("saliency"), content=SEVEN, headers=PNG)
        assert answer.status_code == 413
        assert engine.runs == 0
        small = http.post(ROUTE.format("gradcam"), content=SEVEN, headers=PNG)
        assert small.status_code == 200
    engine.close()


def test_a_model_of_several_inputs_is_explained_by_each(gallery: Gallery) -> None:
    example = gallery.examples["pair"]
    parts = {
        name: (name, npy(values), "application/x-npy")
        for name, values in zip(("left", "right"), inputs_of(example.model, 1), strict=True)
    }
    for name, channels in (("left", 1), ("right", 3)):
        answer = gallery.http.post(
            "/v1/models/pair/attributions/occlusion", files=parts, data={"input": name, "baseline": "zero"}
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["layers"][0]["address"] == name
        assert channels in example.model.get_layer(name).output.shape


def test_a_layer_says_whether_maps_can_be_made_of_it(served: TestClient) -> None:
    rows = {row["address"]: row for row in served.get("/v1/models/digits/layers").json()["layers"]}

    assert "gradcam" in rows["conv1"]["can"]
    assert "gradcam" not in rows["dense"]["can"]
    for row in rows.values():
        assert ("gradcam" in row["can"]) is ("overlay" in row["can"])
    assert rows["conv1"]["axes"] == ["height", "width", "channels"]
    assert {rows["dense"]["cannot"][each][:24] for each in ("gradcam", "overlay")} == {
        "Its axes are channels: i"
    }
    assert "Its axes are channels" in rows["dense"]["cannot"]["overlay"]
    for address, row in rows.items():
        answer = served.post(ROUTE.format("layercam"), params={"layer": address}, content=SEVEN, headers=PNG)
        assert (answer.status_code == 200) is ("layercam" in row["can"]), (address, answer.text)


def test_an_array_is_explained_like_the_picture_it_was_made_of(served: TestClient, image: str) -> None:
    values = tensors(served.post("/v1/models/digits/activations?layers=input", content=SEVEN, headers=PNG))
    answer = served.post(ROUTE.format("saliency"), content=npy(values["input"]), headers=NPY)
    known = served.get(ROUTE.format("saliency"), params={"image": image})
    np.testing.assert_array_equal(tensors(answer)["input"], tensors(known)["input"])
