"""Long requests keep no short ones waiting, and those of one key none of another."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx2
import pytest
from requests_made import PNG, SEVEN
from starlette.testclient import TestClient

from intercepted_engine import InterceptedEngine, Run
from layerscope import demo
from layerscope.demo import samples
from layerscope.execution.interface import CancellationToken, PreparedQuery, Progress, Query, Result
from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits
from layerscope_api.context.api_keys import KeyFile, KeyScope
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

MODEL = "/v1/models/digits"
OCCLUSION = f"{MODEL}/attributions/occlusion"
LIMITS = Limits(short_milliseconds=1, long_requests=20, deadline_milliseconds=60_000)
"""A run of the digits takes a tenth of a millisecond by the estimate, so that one is short and a dozen are long."""


class Held(InterceptedEngine):
    """An engine whose occlusions begin when its gate opens. It counts the leases."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(demo.MODELS, limits)
        self.gate = threading.Event()
        self.leased: Counter[str] = Counter()
        self.begun = threading.Semaphore(0)

    @contextmanager
    def prepare(self, query: Query) -> Iterator[PreparedQuery]:  # type: ignore[override]
        self.leased["all"] += 1
        try:
            with (
                LocalEngine.prepare(self, query)
                if "occlusion" not in query.methods
                else super().prepare(query) as prepared
            ):
                yield prepared
        finally:
            self.leased["ended"] += 1

    def running(
        self, run: Run, cancellation: CancellationToken, progress: Progress | None
    ) -> AbstractContextManager[Result]:
        self.begun.release()
        assert self.gate.wait(60)
        return run(cancellation, progress)


@pytest.fixture
def engine() -> Iterator[Held]:
    engine = Held(LIMITS)
    engine.load_all()
    yield engine
    engine.gate.set()
    engine.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(24) as pool:
        yield pool


def explained(
    http: TestClient, threads: ThreadPoolExecutor, count: int, token: str = ""
) -> list[Future[httpx2.Response]]:
    """So many slow attributions, of which the answers come when the gate opens."""
    headers = {**PNG, "Authorization": f"Bearer {token}"} if token else PNG
    return [threads.submit(http.post, OCCLUSION, content=SEVEN, headers=headers) for _ in range(count)]


def test_r09_sixteen_slow_attributions_keep_no_prediction_thumbnail_or_list_of_layers_waiting(
    engine: Held, threads: ThreadPoolExecutor
) -> None:
    with TestClient(create_app(Settings(models=None, limits=LIMITS), engine)) as http:
        slow = explained(http, threads, 16)
        for _ in slow:
            assert engine.begun.acquire(timeout=60)
        three = http.post("/v1/images", content=samples()["three"].read_bytes(), headers=PNG).json()["id"]
        paths = (f"{MODEL}/predictions?image={three}", f"{MODEL}/layers", f"/v1/images/{three}/thumbnail.png")
        answers = [http.get(path) for path in paths]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert http.get("/metrics").text.count("layerscope_pending_long_requests 16.0") == 1
        assert not any(each.done() for each in slow)
        engine.gate.set()
        assert {each.result(60).status_code for each in slow} == {200}
    assert engine.leased["all"] == engine.leased["ended"] == 17


def test_r09_what_one_key_waits_for_keeps_no_other_key_waiting(
    engine: Held, threads: ThreadPoolExecutor, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    one, other = (KeyFile(keys).create(name, [KeyScope.INFER])[1] for name in ("one", "other"))
    settings = Settings(models=None, limits=LIMITS, api_keys=keys)
    with TestClient(create_app(settings, engine)) as http:
        waiting = explained(http, threads, 14, one)
        for _ in range(10):
            assert engine.begun.acquire(timeout=60)
        (theirs,) = explained(http, threads, 1, other)
        assert engine.begun.acquire(timeout=60)
        engine.gate.set()
        assert theirs.result(60).status_code == 200
        answers = [each.result(60) for each in waiting]
    refused = [answer.json() for answer in answers if answer.status_code != 200]
    assert [each["code"] for each in refused] == ["quota_exceeded"] * 4
    assert refused[0]["error"].startswith("10 long requests of this key")
    assert engine.leased["all"] == engine.leased["ended"] == 15


def test_r09_more_long_requests_than_are_let_in_are_told_to_come_again(
    engine: Held, threads: ThreadPoolExecutor
) -> None:
    with TestClient(create_app(Settings(models=None, limits=LIMITS), engine)) as http:
        slow = explained(http, threads, 22)
        for _ in range(20):
            assert engine.begun.acquire(timeout=60)
        while sum(each.done() for each in slow) < 2:
            pass
        engine.gate.set()
        answers = Counter(each.result(60).status_code for each in slow)
    assert answers == {200: 20, 429: 2}
    assert engine.leased["all"] == engine.leased["ended"] == 22


def test_long_requests_have_the_answers_of_short_ones(engine: Held) -> None:
    pictures = [path.read_bytes() for path in samples().values()] * 2
    assert len(pictures) > 12
    long = create_app(Settings(models=None, limits=LIMITS), engine)
    short = create_app(Settings(models=None), LocalEngine(demo.MODELS))
    with TestClient(long) as one, TestClient(short) as other:
        short.state.service.engine.load_all()
        for path in ("/predictions", "/statistics", "/inspect?methods=gradcam", "/activations?format=json"):
            files = [("image", ("x.png", picture, "image/png")) for picture in pictures]
            found, expected = (http.post(MODEL + path, files=files) for http in (one, other))
            assert found.status_code == expected.status_code == 200, found.text
            assert found.json() == expected.json()
        short.state.service.engine.close()
