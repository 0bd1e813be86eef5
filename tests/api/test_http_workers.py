"""Two workers at one address: what changes at one has changed at the other when the answer arrives."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from requests_made import PNG, SEVEN, SEVEN_ID
from served_process import COMMAND, Process, serving

from layerscope.demo import MODELS
from waiting import wait_for

DEMO = MODELS / "digits" / "1" / "model.keras"

SLOW = """
import os, pathlib, time
folder = pathlib.Path(__file__).parent
with open(folder / "loads.txt", "a", encoding="utf-8") as file:
    file.write(f"{os.getpgrp()}\\n")
loaders = set((folder / "loads.txt").read_text("utf-8").split())
while len(loaders) == 2 and not (folder / "go").exists():
    time.sleep(0.02)
"""
"""A plugin that holds up the second worker that loads its model until a file is there: a loader has a group of processes."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux lists children")


class Workers:
    """A service of two workers."""

    def __init__(self, service: Process, models: Path) -> None:
        self.service = service
        self.models = models

    @property
    def processes(self) -> list[int]:
        watching = self.service.process.pid
        return [int(each) for each in Path(f"/proc/{watching}/task/{watching}/children").read_text().split()]

    def ask(self, worker: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        """Ask one worker: the others are stopped meanwhile and accept no connection."""
        others = [each for place, each in enumerate(self.processes) if place != worker]
        with closing(http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=60)) as connection:
            for each in others:
                os.kill(each, signal.SIGSTOP)
            connection.request("GET", "/v2/health/live")
            connection.getresponse().read()
            for each in others:
                os.kill(each, signal.SIGCONT)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            is_json = content and answer.headers["Content-Type"] == "application/json"
            return answer.status, json.loads(content) if is_json else content

    def states(self, worker: int, name: str = "digits") -> dict[int, str]:
        _, listed = self.ask(worker, "GET", "/v1/models")
        (row,) = [row for row in listed["models"] if row["name"] == name]
        return {each["version"]: each["state"] for each in row["versions"]}

    def labels(self, worker: int) -> dict[str, int]:
        _, listed = self.ask(worker, "GET", "/v1/models")
        labels: dict[str, int] = listed["models"][0]["labels"]
        return labels


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    models = tmp_path_factory.mktemp("models")
    (models / "digits" / "1").mkdir(parents=True)
    shutil.copy(DEMO, models / "digits" / "1")
    options = ("--models", str(models), "--control", "explicit", "--load", "*", "--allow-upload")
    kept = {
        "LAYERSCOPE_KEEP_PREPARED": "true",
        "LAYERSCOPE_MODELS_CACHE": str(tmp_path_factory.mktemp("cache")),
    }
    with serving("--workers", "2", *options, **kept) as service:
        workers = Workers(service, models)
        # The second accepts when it has loaded: until then, nobody answers while the first is stopped.
        assert workers.ask(1, "GET", "/v2/health/ready")[0] == 200
        yield workers


def test_workers_share_the_memory_of_the_weights(workers: Workers) -> None:
    mapped = [Path(f"/proc/{each}/maps").read_text().splitlines() for each in workers.processes]
    files = [{line.split()[-1] for line in lines if line.endswith(".prepared")} for lines in mapped]
    assert len(files) == 2
    assert files[0] == files[1]
    assert len(files[0]) == 1


def test_a_model_that_one_worker_loads_is_served_by_the_other(workers: Workers) -> None:
    shutil.copytree(workers.models / "digits" / "1", workers.models / "digits" / "2")
    assert workers.ask(0, "POST", "/v1/models/digits@2/load")[0] == 200
    assert workers.ask(1, "POST", "/v1/models/digits@2/predictions", SEVEN, **PNG)[0] == 200
    assert workers.ask(1, "POST", "/v1/models/digits@2/unload")[0] == 200
    assert workers.states(0) == workers.states(1) == {1: "ready", 2: "unloaded"}


def test_the_statistics_of_models_are_those_of_all_workers(workers: Workers) -> None:
    def answered(worker: int) -> int:
        _, listed = workers.ask(worker, "GET", "/v2/models/digits/versions/1/stats")
        return int(listed["model_stats"][0]["inference_stats"]["success"]["count"])

    before = answered(0)
    for worker in (0, 1, 1):
        assert workers.ask(worker, "POST", "/v1/models/digits@1/predictions", SEVEN, **PNG)[0] == 200
    for worker in (0, 1):
        wait_for(lambda worker=worker: answered(worker) == before + 3)


def test_a_label_that_one_worker_assigns_is_known_to_the_other(workers: Workers) -> None:
    assert workers.ask(1, "PUT", "/v1/models/digits@1/labels/stable")[0] == 200
    assert workers.labels(0) == workers.labels(1) == {"stable": 1}
    assert workers.ask(0, "DELETE", "/v1/models/digits/labels/stable")[0] == 204
    assert workers.labels(0) == workers.labels(1) == {}


def test_a_model_that_is_uploaded_to_one_worker_is_served_by_the_other(workers: Workers) -> None:
    binary = {"Content-Type": "application/octet-stream"}
    assert workers.ask(1, "POST", "/v1/models?name=sent", DEMO.read_bytes(), **binary)[0] == 201
    assert workers.ask(0, "POST", "/v1/models/sent/predictions", SEVEN, **PNG)[0] == 200
    assert workers.ask(0, "DELETE", "/v1/models/sent@1")[0] == 204
    assert workers.ask(1, "GET", "/v1/models/sent")[0] == 404
    assert workers.ask(1, "POST", "/v1/models?name=kept&load=false", DEMO.read_bytes(), **binary)[0] == 201
    assert workers.states(0, "kept") == {1: "unloaded"}


def test_an_image_that_one_worker_stores_is_an_image_of_the_other(workers: Workers) -> None:
    assert workers.ask(0, "POST", "/v1/images", SEVEN, **PNG)[0] == 201
    assert workers.ask(1, "GET", f"/v1/models/digits/predictions?image={SEVEN_ID}")[0] == 200
    assert workers.ask(1, "DELETE", f"/v1/images/{SEVEN_ID}")[0] == 204
    assert workers.ask(0, "GET", f"/v1/images/{SEVEN_ID}")[0] == 404


@pytest.mark.parametrize("accepted", ["text/plain", "application/openmetrics-text"])
def test_the_metrics_are_those_of_both_workers(workers: Workers, accepted: str) -> None:
    def counted(worker: int) -> dict[str, float]:
        _, text = workers.ask(worker, "GET", "/metrics", Accept=accepted)
        found = re.findall(
            r'layerscope_inferences_total\{model="digits",version="1",worker="(\d)"\} (\S+)', text.decode()
        )
        return {each: float(value) for each, value in found}

    for worker in (0, 1, 1):
        assert workers.ask(worker, "POST", "/v1/models/digits@1/predictions", SEVEN, **PNG)[0] == 200
    wait_for(lambda: counted(0).keys() == {"0", "1"})
    before = counted(1)["1"]
    workers.ask(1, "POST", "/v1/models/digits@1/predictions", SEVEN, **PNG)
    assert counted(1)["1"] == before + 1
    wait_for(lambda: counted(0)["1"] == before + 1)


def test_a_worker_that_is_killed_is_replaced_and_takes_over_the_models_as_they_are(workers: Workers) -> None:
    first, second = workers.processes
    workers.ask(0, "POST", "/v1/models/digits@2/load")
    workers.ask(0, "POST", "/v1/models/digits@1/unload")
    os.kill(first, signal.SIGKILL)
    assert workers.service.ask("POST", "/v1/models/digits/predictions")[0] == 200
    wait_for(lambda: len(workers.processes) == 2)
    (place,) = [place for place, each in enumerate(workers.processes) if each != second]
    assert workers.states(place) == {1: "unloaded", 2: "ready"}


def test_a_worker_that_is_killed_in_the_middle_of_a_command_costs_no_command(workers: Workers) -> None:
    """The first worker is killed while it loads what the second was asked to load and answers only afterwards."""
    folder = workers.models / "slow" / "1"
    folder.mkdir(parents=True)
    shutil.copy(DEMO, folder)
    (folder / "slow.py").write_text(SLOW, "utf-8")
    (folder / "layerscope.json").write_text('{"plugins": ["slow.py"]}', "utf-8")
    loads = folder / "loads.txt"

    first, second = workers.processes
    answers: list[int] = []
    ask = Thread(target=lambda: answers.append(workers.ask(1, "POST", "/v1/models/slow@1/load")[0]))
    ask.start()
    wait_for(lambda: loads.exists() and len(set(loads.read_text("utf-8").split())) == 2)
    assert answers == []
    os.kill(first, signal.SIGKILL)
    # It is answered although one worker is gone, and before that is replaced.
    ask.join(60)
    assert answers == [200]
    (folder / "go").touch()
    wait_for(lambda: len(workers.processes) == 2 and first not in workers.processes)
    assert second in workers.processes
    assert [workers.states(worker, "slow") for worker in (0, 1)] == [{1: "ready"}] * 2
    assert workers.states(0) == workers.states(1)
    assert workers.ask(0, "POST", "/v1/models/slow@1/unload")[0] == 200
    assert [workers.states(worker, "slow") for worker in (0, 1)] == [{1: "unloaded"}] * 2


def test_a_service_that_cannot_start_ends(tmp_path: Path) -> None:
    command = [COMMAND, "serve", "--port", "0", "--workers", "2", "--models", "memory://nothing"]
    surroundings = os.environ | {"LAYERSCOPE_MODELS_CACHE": str(tmp_path)}
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=surroundings, check=False
    )
    assert ended.returncode == 1
    assert "There is nothing at memory://nothing." in ended.stderr


def test_all_workers_finish_their_requests_and_end_at_sigterm(workers: Workers) -> None:
    processes, answered = workers.processes, []
    asking = [
        Thread(
            target=lambda: answered.append(workers.service.ask("POST", "/v1/models/digits/predictions")[0])
        )
        for _ in range(8)
    ]
    for each in asking:
        each.start()
    workers.service.process.send_signal(signal.SIGTERM)
    for each in asking:
        each.join()
    assert answered == [200] * 8
    assert workers.service.end() == 0
    assert not any(Path(f"/proc/{each}").exists() for each in processes)


@pytest.mark.soak
def test_no_worker_outlives_its_supervisor() -> None:
    with serving("--workers", "2") as service:
        processes = Workers(service, MODELS).processes
        service.process.kill()
        wait_for(lambda: not any(Path(f"/proc/{each}").exists() for each in processes))
