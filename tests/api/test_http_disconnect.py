"""A caller who goes away costs no run."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import uvicorn
from answers_read import npy
from requests_made import ACTIVATIONS, FEATURE_MAP, PREDICTIONS

from intercepted_engine import InterceptedEngine, Run
from layerscope import demo
from layerscope.errors import LayerscopeError
from layerscope.execution.interface import CancellationToken, Progress, Result
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app


class Patient(InterceptedEngine):
    """An engine that begins with a query when its gate is open, or nobody wants the answer any more."""

    def __init__(self) -> None:
        super().__init__(demo.MODELS)
        self.gate = threading.Event()
        self.arrived = threading.Event()
        self.dropped = threading.Event()

    @contextmanager
    def running(
        self, run: Run, cancellation: CancellationToken, progress: Progress | None
    ) -> Iterator[Result]:
        self.arrived.set()
        while not cancellation.is_cancelled and not self.gate.wait(0.01):
            pass
        try:
            with run(cancellation, progress) as result:
                yield result
        except LayerscopeError:
            self.dropped.set()
            raise


@pytest.fixture(scope="module")
def engine() -> Iterator[Patient]:
    engine = Patient()
    engine.load_all()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def port(engine: Patient) -> Iterator[int]:
    app = create_app(Settings(models=None), engine)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    engine.gate.set()
    server.should_exit = True
    thread.join()
    listener.close()


def ask(port: int, url: str, body: bytes, kind: str) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST" if body else "GET", url, body or None, {"Content-Type": kind})
    return connection


@pytest.mark.parametrize(
    "url", [f"{ACTIVATIONS}?layers=dense&format=npy", f"{FEATURE_MAP}?layer=conv1", PREDICTIONS]
)
def test_r02_who_goes_away_before_the_run_costs_none_and_who_stays_is_answered(
    engine: Patient, port: int, url: str
) -> None:
    never_seen = np.random.default_rng(len(url)).normal(size=(1, 28, 28, 1)).astype(np.float32)
    for event in (engine.gate, engine.arrived, engine.dropped):
        event.clear()
    before = engine.runs
    leaving = ask(port, url, npy(never_seen), "application/x-npy")
    assert engine.arrived.wait(30)
    leaving.close()
    assert engine.dropped.wait(30)
    assert engine.runs == before

    engine.gate.set()
    staying = ask(port, url, npy(never_seen), "application/x-npy")
    assert staying.getresponse().status == 200
    staying.close()
    assert engine.runs == before + 1
