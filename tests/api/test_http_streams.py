"""Progress while an attribution is made: its events, its errors, and callers who do not wait for the end."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import pytest
import uvicorn
from answers_read import npy
from requests_made import PNG, SEVEN
from starlette.testclient import TestClient

from intercepted_engine import InterceptedEngine, Run
from layerscope import demo
from layerscope.errors import LayerscopeError, QueueFull
from layerscope.execution.interface import CancellationToken, Progress, Result
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

OCCLUSION = "/v1/models/digits/attributions/occlusion"
EVENTS, LINES = "text/event-stream", "application/x-ndjson"

Event = tuple[str, Any]


def server_sent(text: str) -> list[Event]:
    found = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def lines(text: str) -> list[Event]:
    documents = [json.loads(line) for line in text.splitlines()]
    return [("error", each) if "code" in each else next(iter(each.items())) for each in documents]


READ = {EVENTS: server_sent, LINES: lines}


def asked(http: TestClient, accept: str, **options: object) -> Any:
    return http.post(OCCLUSION, params=options, content=SEVEN, headers={**PNG, "Accept": accept})


@pytest.mark.parametrize("accept", [EVENTS, LINES])
def test_progress_comes_first_and_then_the_answer_that_comes_without_a_stream(
    http: TestClient, accept: str
) -> None:
    patch = 2 if accept == EVENTS else 3
    streamed = asked(http, accept, patch=patch)

    assert streamed.headers["content-type"].startswith(accept)
    assert streamed.headers["cache-control"] == "no-store"
    *progress, (name, result) = READ[accept](streamed.text)
    assert {each for each, _ in progress} == {"progress"}
    counts = [each["done"] for _, each in progress]
    assert counts == sorted(counts)
    assert {each["total"] for _, each in progress} == {(28 // patch + (28 % patch > 0)) ** 2}
    assert counts[-1] == progress[-1][1]["total"]
    assert name == "result"
    assert result == asked(http, "application/json", patch=patch).json()


@pytest.mark.parametrize("accept", [EVENTS, LINES])
def test_what_is_known_already_is_answered_without_progress(http: TestClient, accept: str) -> None:
    asked(http, "application/json", patch=7)
    assert [name for name, _ in READ[accept](asked(http, accept, patch=7).text)] == ["result"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        (f"application/json, {EVENTS};q=0.5", "application/json"),
        (f"application/json;q=0.1, {LINES}", LINES),
        (f"{EVENTS};q=0.2, {LINES};q=0.7", LINES),
        (f"{LINES};q=0, application/json", "application/json"),
    ],
)
def test_a_stream_is_only_for_who_asks_for_it(http: TestClient, accept: str, kind: str) -> None:
    answer = asked(http, accept, patch=7, values=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind


@pytest.mark.parametrize("accept", [EVENTS, LINES])
def test_what_is_refused_before_it_begins_has_a_status(http: TestClient, accept: str) -> None:
    for options, status in (({"target": "10"}, 422), ({"format": "npy"}, 422), ({"patch": 0}, 422)):
        answer = asked(http, accept, **options)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["code"] == "option_invalid"
    missing = http.get("/v1/models/none/attributions/occlusion?image=x", headers={"Accept": accept})
    assert missing.status_code == 404


class Breaking(InterceptedEngine):
    """An engine that is interrupted when it has begun: by too many others, or by a bug."""

    error: Exception = QueueFull("Too many others.")

    def running(
        self, run: Run, cancellation: CancellationToken, progress: Progress | None
    ) -> AbstractContextManager[Result]:
        assert progress is not None
        progress(1, 2)
        raise self.error


@pytest.mark.parametrize("accept", [EVENTS, LINES])
@pytest.mark.parametrize(
    ("error", "code"), [(QueueFull("Too many others."), "queue_full"), (KeyError("x"), "internal_error")]
)
def test_an_error_on_the_way_has_the_one_shape(error: Exception, code: str, accept: str) -> None:
    engine = Breaking(demo.MODELS)
    engine.error = error
    engine.load_all()
    with TestClient(create_app(Settings(models=None), engine)) as http:
        answer = asked(http, accept)
    engine.close()

    assert answer.status_code == 200
    (first, _), (name, body) = READ[accept](answer.text)
    assert (first, name) == ("progress", "error")
    assert body["code"] == code
    assert body["request_id"] == answer.headers["x-request-id"]
    assert set(body) == {"error", "code", "request_id", "details"}


class Watched(InterceptedEngine):
    """An engine that goes on after its first progress when nobody waits any more, and tells that it has ended."""

    def __init__(self) -> None:
        super().__init__(demo.MODELS)
        self.ended = threading.Event()

    @contextmanager
    def running(
        self, run: Run, cancellation: CancellationToken, progress: Progress | None
    ) -> Iterator[Result]:
        def slow_progress(done: int, total: int) -> None:
            assert progress is not None
            progress(done, total)
            while not cancellation.is_cancelled:
                self.ended.wait(0.01)

        try:
            with run(cancellation, slow_progress) as result:
                yield result
        except LayerscopeError:
            self.ended.set()
            raise


@pytest.fixture
def port() -> Iterator[tuple[Watched, int]]:
    engine = Watched()
    engine.load_all()
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(Settings(models=None), engine)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield engine, listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    listener.close()
    engine.close()


@pytest.mark.parametrize("accept", [EVENTS, LINES])
def test_the_work_stops_when_the_caller_goes_away(port: tuple[Watched, int], accept: str) -> None:
    engine, number = port
    connection = http.client.HTTPConnection("127.0.0.1", number, timeout=30)
    never_seen = npy(np.random.default_rng(len(accept)).random((1, 28, 28, 1), np.float32))
    headers = {"Content-Type": "application/x-npy", "Accept": accept}
    connection.request("POST", f"{OCCLUSION}?patch=1", never_seen, headers)
    answer = connection.getresponse()
    assert answer.status == 200
    assert b"progress" in answer.readline()
    connection.close()
    answer.close()

    assert engine.ended.wait(30)
    patches_in_batches_of = 32
    assert engine.runs <= 1 + 1 + 2 < 784 / patches_in_batches_of
