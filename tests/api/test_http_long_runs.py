"""Runs that take long: they end in time, and others are answered meanwhile. What cannot be ended ends its process."""

import http.client
import io
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from requests_made import PREDICTIONS
from served_process import Process, serving
from starlette.testclient import TestClient

from layerscope.demo import MODELS
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from process_tree import is_alive
from waiting import wait_for

LIVE = "/v2/health/live"
ACTIVATIONS = "/v1/models/recurrent/activations?layers=head"
ENDLESS, SECOND = 8_000_000, 35_000
"""Steps of a loop that take minutes, and those that take almost a second, so that they are short."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux lists children")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    shutil.copytree(MODELS / "digits", directory / "digits")
    (directory / "recurrent" / "1").mkdir(parents=True)
    steps = keras.Input((None, 1), name="steps")
    head = layers.Dense(2, name="head")(layers.SimpleRNN(3, name="rnn")(steps))
    keras.Model(steps, head).save(directory / "recurrent" / "1" / "model.keras")
    return directory


def steps(count: int) -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros((1, count, 1), np.float32))
    return file.getvalue()


def run(port: int, count: int) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", ACTIVATIONS, steps(count), {"Content-Type": "application/x-npy"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(each) for task in tasks for each in task.read_text().split()]


def test_r10_a_run_that_may_never_end_is_ended_and_others_are_answered_meanwhile(models: Path) -> None:
    with (
        serving("--models", str(models), LAYERSCOPE_LIMITS__DEADLINE_MILLISECONDS="6000") as service,
        ThreadPoolExecutor() as pool,
    ):
        (server,) = wait_for(lambda: children(service.process.pid))
        endless = [pool.submit(run, service.port, ENDLESS) for _ in range(2)]
        (child,) = wait_for(lambda: children(server))
        for _ in range(3):
            assert service.ask("POST", PREDICTIONS)[0] == 200
            assert service.ask("GET", LIVE)[0] == 200
        assert not any(each.done() for each in endless)
        answers = [each.result() for each in endless]
        assert [status for status, _ in answers] == [504, 504]
        assert b"deadline_exceeded" in answers[0][1]
        wait_for(lambda: not is_alive(child))
        assert run(service.port, 5)[0] == 200
        assert run(service.port, SECOND)[0] == 200
        wait_for(lambda: ended_runs(service) == 1)
    wait_for(lambda: not is_alive(server))


def ended_runs(service: Process) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return next(float(line.split()[1]) for line in lines if line.startswith("layerscope_ended_runs_total "))


@pytest.fixture
def impatient(models: Path) -> Iterator[TestClient]:
    """A service that gives up on a run after a millisecond."""
    limits = Limits(stuck_milliseconds=1)
    with TestClient(create_app(Settings(models=models, limits=limits))) as client:
        yield client


def test_a_process_with_a_run_that_goes_on_for_too_long_says_that_it_must_be_ended(
    impatient: TestClient,
) -> None:
    def ask() -> int:
        sent = {"Content-Type": "application/x-npy"}
        return impatient.post(ACTIVATIONS, content=steps(SECOND), headers=sent).status_code

    assert impatient.get(LIVE).json() == {"live": True}
    with ThreadPoolExecutor() as pool:
        running = pool.submit(ask)
        refused = wait_for(lambda: (found := impatient.get(LIVE)).status_code == 503 and found)
        assert running.result() == 200
    assert refused.json()["code"] == "run_stuck"
    assert impatient.get(LIVE).json() == {"live": True}


def test_a_worker_with_such_a_run_is_replaced(models: Path) -> None:
    options = ("--workers", "2", "--models", str(models))
    limits = {"STUCK_MILLISECONDS": "1500", "SHORT_MILLISECONDS": "60000"}
    with serving(
        *options, **{f"LAYERSCOPE_LIMITS__{name}": value for name, value in limits.items()}
    ) as service:
        before = wait_for(lambda: len(found := children(service.process.pid)) == 2 and found)
        wait_for(lambda: service.ask("GET", "/v2/health/ready")[0] == 200)
        assert run(service.port, 6 * SECOND)[0] == 200
        wait_for(lambda: len(set(children(service.process.pid)) & set(before)) == 1)
        assert service.ask("POST", PREDICTIONS)[0] == 200
        wait_for(lambda: len(children(service.process.pid)) == 2)
        assert service.ask("POST", PREDICTIONS)[0] == 200
