"""What a plan foretells is what a run then gives, and planning runs nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from answers_read import npy, tensors
from requests_made import ACTIVATIONS, NPY, PNG, SEVEN
from served_models import Gallery
from starlette.testclient import TestClient

from layerscope import demo
from layerscope.encode import FORMATS
from layerscope.execution.inputs import ANY_INPUT, TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

PLAN = "/v1/models/digits/plan"
SMALL = Limits(run_bytes=2_000_000, response_bytes=400_000, json_elements=5_000)

OPTIONS = [
    {},
    {"channels": "2,0-1"},
    {"channels": "top:3"},
    {"region": "1,2,5,6", "stride": "2"},
    {"reduce": "mean"},
    {"dtype": "float16", "layout": "nchw"},
    {"dtype": "uint8"},
    {"statistics": "true"},
]


@contextmanager
def started(limits: Limits) -> Iterator[LocalEngine]:
    engine = LocalEngine(demo.MODELS, limits)
    engine.load_all()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    with started(Limits()) as engine:
        yield engine


@pytest.fixture(scope="module")
def planned(engine: LocalEngine) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models=None), engine)) as http:
        yield http


@pytest.fixture(scope="module")
def small() -> Iterator[TestClient]:
    with (
        started(SMALL) as engine,
        TestClient(create_app(Settings(models=None, limits=SMALL), engine)) as http,
    ):
        yield http


def never_seen(images: int, seed: int) -> bytes:
    return npy(np.random.default_rng(seed).normal(size=(images, 28, 28, 1)).astype(np.float32))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("form", FORMATS)
def test_what_is_planned_comes(
    planned: TestClient, engine: LocalEngine, form: str, options: dict[str, str]
) -> None:
    images = 1 + OPTIONS.index(options) % 2
    asked = {"layers": "conv1" if form == "npy" else "conv*", "format": form, **options}
    body = never_seen(images, OPTIONS.index(options) + 100 * FORMATS.index(form))
    before = engine.runs

    plan = planned.post(PLAN, params=asked, content=body, headers=NPY).json()
    assert engine.runs == before

    foretold = plan["formats"][form]
    if form == "npy" and options.get("dtype") == "uint8":
        refused = planned.post(ACTIVATIONS, params=asked, content=body, headers=NPY)
        assert (plan["admitted"], foretold["refusal"]["code"]) == (False, "unsupported_format")
        assert refused.json()["error"] == foretold["refusal"]["error"]
        return
    answer = planned.post(ACTIVATIONS, params=asked, content=body, headers=NPY)
    assert (plan["images"], plan["format"], plan["admitted"]) == (images, form, True)
    assert foretold["refusal"] is None
    assert foretold["working_bytes"] > foretold["bytes"] > 0
    if foretold["exact"]:
        assert len(answer.content) == foretold["bytes"]
    else:
        assert len(answer.content) <= foretold["bytes"]
    found = tensors(answer)
    described = {each["address"]: (each["shape"], each["dtype"], each["bytes"]) for each in plan["layers"]}
    values = {address: array for address, array in found.items() if "@" not in address}
    assert described == {
        address: (list(array.shape), array.dtype.name, array.nbytes) for address, array in values.items()
    }


@pytest.mark.parametrize(
    ("form", "options"), [("npy", {}), ("safetensors", {}), ("safetensors", {"reduce": "max"})]
)
def test_the_bytes_are_exact_where_the_format_allows_it(
    planned: TestClient, form: str, options: dict[str, str]
) -> None:
    plan = planned.get(PLAN, params={"layers": "conv1", "format": form, **options}).json()

    assert plan["formats"][form]["exact"]


def test_without_images_a_plan_is_for_as_many_as_it_is_told(planned: TestClient, engine: LocalEngine) -> None:
    asked = {"layers": "all", "format": "safetensors"}
    before = engine.runs
    told = planned.get(PLAN, params={**asked, "batch": 5}).json()
    shown = planned.post(PLAN, params=asked, content=never_seen(5, 9), headers=NPY).json()

    assert told["images"] == 5
    assert told == shown
    assert engine.runs == before


def test_images_and_how_many_there_will_be_are_not_both_given(planned: TestClient) -> None:
    answer = planned.post(PLAN, params={"batch": 2}, content=SEVEN, headers=PNG)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")

    many = planned.get(PLAN, params={"batch": Limits().images_per_request + 1})
    assert (many.status_code, many.json()["code"]) == (413, "too_many")


@pytest.mark.parametrize(
    ("options", "images"),
    [
        pytest.param({"layers": "conv1"}, 1, id="values of JSON"),
        pytest.param({"layers": "conv1", "format": "safetensors"}, 20, id="bytes of an answer"),
        pytest.param({"layers": "conv1", "format": "npy", "reduce": "mean"}, 60, id="bytes of a run"),
    ],
)
def test_what_would_be_refused_is_told_with_both_numbers_and_three_ways_out(
    small: TestClient, options: dict[str, str], images: int
) -> None:
    plan = small.get(PLAN, params={**options, "batch": images}).json()
    answer = small.post(ACTIVATIONS, params=options, content=never_seen(images, 11), headers=NPY)

    refusal = plan["formats"][plan["format"]]["refusal"]
    assert not plan["admitted"]
    assert answer.status_code == 413
    assert refusal == {name: answer.json()[name] for name in ("error", "code", "details")}
    needed, limit = (
        refusal["details"].get("bytes", refusal["details"].get("values")),
        refusal["details"]["limit"],
    )
    assert needed > limit
    assert f"{needed:,}" in refusal["error"]
    assert f"{limit:,}" in refusal["error"]
    assert len(refusal["details"]["ways"]) == 3


def test_a_model_of_any_size_is_planned_by_an_image(gallery: Gallery) -> None:
    url = "/v1/models/any_size/plan"
    without = gallery.http.get(url)
    assert (without.status_code, without.json()["code"]) == (422, "input_mismatch")

    channels = gallery.examples["any_size"].model.inputs[0].shape[-1]
    for side in (9, 14):
        image = np.zeros((1, side, side, channels), np.float32)
        plan = gallery.http.post(url, params={"format": "npz"}, content=npy(image), headers=NPY)
        answer = gallery.http.post(
            url.replace("plan", "activations"), params={"format": "npz"}, content=npy(image), headers=NPY
        )
        assert {each["address"]: each["shape"] for each in plan.json()["layers"]} == {
            address: list(array.shape) for address, array in tensors(answer).items()
        }


def test_who_finds_the_memory_taken_for_too_long_is_told_to_come_again(planned: TestClient) -> None:
    asked = {"layers": "conv1", "format": "npy"}
    needed = planned.get(PLAN, params=asked).json()["formats"]["npy"]["working_bytes"]
    limits = Limits(working_bytes=needed + 1_000, deadline_milliseconds=2_000)
    image = TensorSource(np.ones((28, 28, 1), np.float32))
    held = Query(model="digits", sources={ANY_INPUT: [image]}, layers=["conv1"])

    with (
        started(limits) as engine,
        TestClient(create_app(Settings(models=None, limits=limits), engine)) as http,
    ):
        with engine.prepare(held) as prepared, prepared.run():
            taken = engine.working_bytes
            busy = http.post(ACTIVATIONS, params=asked, content=never_seen(1, 12), headers=NPY)
        again = http.post(ACTIVATIONS, params=asked, content=never_seen(1, 12), headers=NPY)

    assert (busy.status_code, busy.json()["code"]) == (503, "memory_busy")
    assert int(busy.headers["retry-after"]) >= 1
    assert busy.json()["details"] == {"bytes": needed, "taken": taken, "limit": limits.working_bytes}
    assert again.status_code == 200
