"""Everything about an image from one run: the links lead to answers that are there already."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from answers_read import npy
from requests_made import NPY, PNG, PREDICTIONS, SEVEN, SEVEN_ID
from served_models import Gallery, inputs_of
from starlette.testclient import TestClient

from layerscope import demo
from layerscope.attribution import METHODS
from layerscope.demo import samples
from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from layerscope_client import Client

URL = "/v1/models/digits/inspect"
LINKS = ("picture", "overlay", "values")


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    """An engine of its own, which has run nothing."""
    engine = LocalEngine(demo.MODELS)
    engine.load_all()
    yield engine
    engine.close()


@pytest.fixture
def service(engine: LocalEngine) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models=None), engine)) as http:
        yield http


def inspect(http: TestClient, content: bytes = SEVEN, **options: Any) -> dict[str, Any]:
    answer = http.post(URL, content=content, headers=PNG, params=options)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def links(body: dict[str, Any]) -> list[str]:
    return [row[name] for row in body["layers"] for name in LINKS if row[name]]


def test_following_the_links_runs_nothing(service: TestClient, engine: LocalEngine) -> None:
    body = inspect(service)
    assert engine.runs == 1

    maps = [row for row in body["layers"] if len(row["shape"]) == 4]
    assert len(links(body)) == 2 * len(body["layers"]) + len(maps)
    for link in links(body):
        answer = service.get(link)
        assert answer.status_code == 200, link
        assert "immutable" in answer.headers["cache-control"]
        assert "cache;desc=hit" in answer.headers["server-timing"]
    assert service.get(f"/v1/images/{SEVEN_ID}").status_code == 200
    assert engine.runs == 1


def test_heat_maps_cost_their_gradients_only_and_their_links_nothing(
    service: TestClient, engine: LocalEngine
) -> None:
    body = inspect(service, layers="conv1", methods="gradcam,eigencam,saliency")
    run_forwards, gradients = 1, len(["gradcam", "saliency"])
    assert engine.runs == run_forwards + gradients

    followed = [row[name] for row in body["attributions"] for name in ("picture", "values")]
    assert len(followed) == 6
    for link in [*followed, *links(body)]:
        answer = service.get(link)
        assert answer.status_code == 200, link
        assert "immutable" in answer.headers["cache-control"]
        assert "cache;desc=hit" in answer.headers["server-timing"]
    assert engine.runs == run_forwards + gradients


def test_every_method_is_what_its_own_route_answers(service: TestClient, engine: LocalEngine) -> None:
    rows = inspect(service, layers="conv1", methods=[*METHODS], target="1")["attributions"]
    runs = engine.runs

    assert [row["method"] for row in rows] == [*METHODS]
    for row in rows:
        asked = {"image": SEVEN_ID, **({"target": "1"} if METHODS[row["method"]].has_target else {})}
        route = f"/v1/models/digits/attributions/{row['method']}"
        own = service.get(route, params=asked).json()
        assert row["attribution"] == own["attribution"]
        assert service.get(row["values"]).json() == own
        assert (row["address"], row["shape"]) == (own["layers"][0]["address"], own["layers"][0]["shape"])
        assert row["reason"] is None
        assert service.get(row["picture"]).content == service.get(f"{route}.png", params=asked).content
    assert engine.runs == runs


def test_a_score_is_that_of_all_methods_that_have_one(service: TestClient) -> None:
    rows = inspect(service, layers="conv1", methods="gradcam,occlusion", score="log_probability")[
        "attributions"
    ]

    for row, score in zip(rows, ("log_probability", None), strict=True):
        asked = {"image": SEVEN_ID, **({"score": score} if score else {})}
        own = service.get(f"/v1/models/digits/attributions/{row['method']}", params=asked).json()
        assert row["attribution"] == own["attribution"]
        assert row["attribution"]["options"].get("score") == score
        assert service.get(row["values"]).json() == own
    assert [row["attribution"]["targets"][0]["score"] for row in rows] == ["log", "output"]


def test_the_heat_maps_of_a_batch_have_values_and_no_picture(service: TestClient) -> None:
    files = [("image", samples()[name].read_bytes()) for name in ("seven", "three")]
    (row,) = service.post(URL, files=files, data={"methods": "gradcam"}).json()["attributions"]

    assert [target["class"] for target in row["attribution"]["targets"]] == [7, 3]
    assert service.get(row["values"]).json()["layers"][0]["shape"] == row["shape"] == [2, 7, 7]
    assert row["picture"] is None


def test_a_method_that_a_model_has_no_use_for_says_why(gallery: Gallery) -> None:
    tensor = npy(inputs_of(gallery.examples["sequence"].model, 1)[0])
    options = {"methods": "guided-saliency,saliency"}
    answer = gallery.http.post("/v1/models/sequence/inspect", params=options, content=tensor, headers=NPY)

    assert answer.status_code == 200, answer.text
    refused, possible = answer.json()["attributions"]
    assert "without rectifiers" in refused.pop("reason")
    nothing = dict.fromkeys(("address", "shape", "attribution", "picture", "values"))
    assert refused == {"method": "guided-saliency", **nothing}
    assert possible["shape"] == [1, 5]


def test_a_method_that_takes_too_many_runs_says_so() -> None:
    engine = LocalEngine(demo.MODELS, Limits(attribution_runs=24))
    engine.load_all()
    with TestClient(create_app(Settings(models=None, limits=engine.limits), engine)) as http:
        smooth, simple = inspect(http, layers="conv1", methods="smoothgrad,saliency")["attributions"]
    engine.close()
    assert "25 runs" in smooth["reason"]
    assert simple["reason"] is None


def test_a_picture_is_the_one_that_its_options_ask_for(http: TestClient) -> None:
    options = {"channels": "top:4", "colormap": "magma", "scale": 2}
    (row,) = inspect(http, layers="conv1", **options)["layers"]

    asked = {"layer": "conv1", "image": SEVEN_ID, **options}
    assert (
        http.get(row["picture"]).content
        == http.get("/v1/models/digits/feature-map.png", params=asked).content
    )


def test_predictions_and_statistics_are_those_of_their_own_routes(http: TestClient) -> None:
    body = inspect(http, top=3, statistics="channel")

    predictions = http.get(PREDICTIONS, params={"image": SEVEN_ID, "top": 3}).json()
    assert {name: body[name] for name in predictions} == predictions
    options = {"image": SEVEN_ID, "statistics": True, "values": False}
    layers = http.get("/v1/models/digits/activations", params=options).json()["layers"]
    assert [row["statistics"] for row in body["layers"]] == [row["statistics"] for row in layers]
    assert [row["shape"] for row in body["layers"]] == [row["shape"] for row in layers]


def test_statistics_are_of_the_layer_unless_asked_for(http: TestClient) -> None:
    (row,) = inspect(http, layers="conv1")["layers"]
    assert row["statistics"].keys() == {"min", "max", "mean", "std", "fraction_zero", "nonfinite"}
    (row,) = inspect(http, layers="conv1", statistics="none")["layers"]
    assert row["statistics"] is None


def test_a_batch_has_links_to_all_of_it(service: TestClient, engine: LocalEngine) -> None:
    files = [("image", samples()[name].read_bytes()) for name in ("seven", "three")]
    body = service.post(URL, files=files, data={"layers": "conv1"}).json()

    (row,) = body["layers"]
    assert row["shape"][0] == len(body["images"]) == row["picture"].count("image=") == 2
    runs = engine.runs
    assert service.get(row["values"]).json()["images"] == body["images"]
    assert engine.runs == runs


def test_what_has_no_picture_says_why(gallery: Gallery) -> None:
    answer = gallery.http.post("/v1/models/odd/inspect", content=SEVEN, headers=PNG)
    rows = {row["address"]: row for row in answer.json()["layers"]}

    assert rows["five_axes"]["picture"] is None
    assert "cannot be drawn" in rows["five_axes"]["reason"]
    assert rows["conv"]["reason"] is None


def test_channels_that_a_layer_lacks_leave_out_its_picture_only(http: TestClient) -> None:
    rows = {row["address"]: row for row in inspect(http, channels="12")["layers"]}
    assert "10 channels" in rows["probabilities"]["reason"]
    assert http.get(rows["conv1"]["picture"]).status_code == 200


def test_without_stored_images_there_are_no_links(http: TestClient, gallery: Gallery) -> None:
    tensor = npy(np.zeros((1, 28, 28, 1), np.float32))
    body = http.post(URL, content=tensor, headers=NPY).json()
    assert not links(body)
    assert any("no links" in warning for warning in body["warnings"])
    assert body["outputs"][0]["predictions"]

    arrays = inputs_of(gallery.examples["pair"].model, 1)
    files = [(name, npy(array)) for name, array in zip(("left", "right"), arrays, strict=True)]
    several = gallery.http.post("/v1/models/pair/inspect", files=files).json()
    assert not links(several)
    assert [row["name"] for row in several["outputs"]] == ["kind", "score"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"layers": "cnv1"}, "layer_not_found"),
        ({"statistics": "all"}, "option_invalid"),
        ({"top": 0}, "option_invalid"),
        ({"methods": "gradcan"}, "option_invalid"),
        ({"methods": "gradcam", "target": "10"}, "option_invalid"),
    ],
)
def test_bad_options(http: TestClient, options: dict[str, Any], code: str) -> None:
    answer = http.post(URL, content=SEVEN, headers=PNG, params=options)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_the_client_inspects_and_follows(http: TestClient) -> None:
    digits = Client(http=http).model("digits")
    body = digits.inspect(SEVEN, layers=["conv*"], top=2, channels=[0, 1])

    assert [row["address"] for row in body["layers"]] == ["conv1", "conv2", "conv3"]
    assert len(body["outputs"][0]["predictions"][0]) == 2
    picture = digits.picture(body["layers"][0]["picture"])
    assert picture == digits.feature_map(SEVEN, layer="conv1", channels=[0, 1])
