"""What is too much is refused before the model runs, and what is admitted is finished."""

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager

import numpy as np
import pytest
from answers_read import npy, tensors
from httpx2 import Response
from requests_made import ACTIVATIONS, FEATURE_MAP, NPY, PNG, SEVEN
from starlette.testclient import TestClient

from layerscope import demo
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.execution.prepared_query import LocalPreparedQuery
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

SMALL = Limits(run_bytes=2_000_000, response_bytes=400_000, json_elements=5_000, picture_pixels=20_000)


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine(demo.MODELS, SMALL)
    engine.load_all()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def small(engine: LocalEngine) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models=None, limits=SMALL), engine)) as http:
        yield http


@pytest.mark.parametrize(
    ("url", "options", "images"),
    [
        pytest.param(ACTIVATIONS, {"layers": "conv1"}, 1, id="values of JSON"),
        pytest.param(ACTIVATIONS, {"layers": "conv1", "format": "safetensors"}, 20, id="bytes of an answer"),
        pytest.param(
            ACTIVATIONS, {"layers": "conv1", "format": "npy", "reduce": "mean"}, 60, id="bytes of a run"
        ),
        pytest.param(FEATURE_MAP, {"layer": "conv1", "scale": "5"}, 1, id="pixels of a picture"),
    ],
)
def test_an_answer_that_is_too_large_is_refused_before_anything_runs(
    small: TestClient, engine: LocalEngine, url: str, options: dict[str, str], images: int
) -> None:
    random = np.random.default_rng(list(f"{url}{options}".encode()))
    never_seen = random.normal(size=(images, 28, 28, 1)).astype(np.float32)
    before = engine.runs
    answer = small.post(url, params=options, content=npy(never_seen), headers=NPY)

    assert (answer.status_code, answer.json()["code"]) == (413, "answer_too_large")
    assert engine.runs == before
    fewer = small.post(ACTIVATIONS, params={"layers": "dense"}, content=npy(never_seen[:1]), headers=NPY)
    assert fewer.status_code == 200
    assert engine.runs == before + 1


def test_what_cannot_be_done_is_refused_before_anything_runs(small: TestClient, engine: LocalEngine) -> None:
    before = engine.runs
    for url, options in (
        (ACTIVATIONS, {"layers": "conv1", "channels": "99"}),
        (ACTIVATIONS, {"layers": "conv1", "region": "0,0,99,99"}),
        (ACTIVATIONS, {"layers": "all", "format": "npy"}),
        (FEATURE_MAP, {"layer": "conv1", "channel": "99"}),
        (FEATURE_MAP, {"layer": "conv1,dense", "channel": "40"}),
        (FEATURE_MAP, {"layer": "conv1", "colormap": "none"}),
        (FEATURE_MAP, {"layer": "conv1", "scale": "1000"}),
    ):
        answer = small.post(url, params=options, content=SEVEN + b"never seen", headers=PNG)
        assert answer.status_code in {415, 422}, options
    assert engine.runs == before


class Gated(LocalEngine):
    """An engine whose runs wait at a gate until it opens."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(demo.MODELS, limits)
        self.gate = threading.Event()

    def prepare(self, query: Query) -> AbstractContextManager[LocalPreparedQuery]:
        assert self.gate.wait(30)
        return super().prepare(query)


def test_what_is_more_than_may_wait_is_told_to_come_again() -> None:
    limits = Limits(pending_requests=2)
    engine = Gated(limits)
    engine.load_all()
    arrays = [np.full((1, 28, 28, 1), number, np.float32) for number in range(7)]

    with (
        TestClient(create_app(Settings(models=None, limits=limits), engine)) as http,
        ThreadPoolExecutor(len(arrays)) as threads,
    ):

        def ask(array: np.ndarray) -> Response:
            options = {"layers": "input", "format": "npy"}
            return http.post(ACTIVATIONS, params=options, content=npy(array), headers=NPY)

        asked = {threads.submit(ask, array): array for array in arrays}
        refused = _first(asked, len(arrays) - limits.pending_requests)
        assert http.get("/v2/health/live").status_code == 200
        engine.gate.set()
        admitted = asked.keys() - refused
        for answer in (each.result() for each in refused):
            assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
            assert int(answer.headers["retry-after"]) >= 1
        for each in admitted:
            np.testing.assert_array_equal(tensors(each.result())["input"], asked[each])
        assert ask(arrays[0]).status_code == 200
    engine.close()


def _first(asked: dict[Future[Response], np.ndarray], count: int) -> set[Future[Response]]:
    done: set[Future[Response]] = set()
    while len(done) < count:
        finished, _ = wait(asked.keys() - done, timeout=30, return_when=FIRST_COMPLETED)
        assert finished
        done |= finished
    return done
