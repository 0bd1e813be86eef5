"""Jobs of services that are killed, ended, doubled, or whose model goes away: nothing is lost, and no process is left."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from served_process import Process, serving

from digit_images import write_digits
from layerscope.demo import MODELS, samples
from waiting import wait_for

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux lists processes"),
]

MANY = 1_000
DEADLY = """
import os, signal, sys

def watch(event, args):
    if event == "open" and str(args[0]).endswith("seven.png") and "worker" in "".join(sys.argv[:1]):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
"""
"""In a `sitecustomize.py`: a process that reads one image for a job dies of it."""


class Folder:
    """What an operator gives services: models, photos, and places for results."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        shutil.copytree(MODELS, folder / "models")
        for name in ("photos", "features", "few"):
            (folder / name).mkdir()
        for number in range(MANY):
            shutil.copyfile(samples()["two"], folder / "photos" / f"{number:04d}.png")
        write_digits(folder / "few" / "digits")

    @contextmanager
    def serving(self, *options: str, **environment: str) -> Iterator[Process]:
        places = {name: str(self.path / name) for name in ("photos", "features", "few")}
        settings = {
            "LAYERSCOPE_JOBS": str(self.path / "jobs"),
            "LAYERSCOPE_PLACES": json.dumps(places),
            "LAYERSCOPE_WRITABLE_PLACES": '["features"]',
            "LAYERSCOPE_MODELS_CACHE": str(self.path / "cache"),
            "LAYERSCOPE_KEEP_PREPARED": "true",
        }
        with serving("--models", str(self.path / "models"), *options, **settings, **environment) as service:
            yield service

    def parts(self, to: str) -> dict[str, bytes]:
        """The parts of a result that are there."""
        return {
            each.name: each.read_bytes() for each in (self.path / "features" / to / "parts").glob("[!.]*")
        }


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def ask(service: Process, method: str, path: str, body: object = None) -> Any:
    connection = HTTPConnection("127.0.0.1", service.port, timeout=60)
    connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
    found = json.loads(connection.getresponse().read())
    connection.close()
    return found


def start(service: Process, to: str, data: str = "photos:", part_images: int = 2) -> str:
    asked = {
        "model": "digits",
        "layers": ["dense"],
        "data": data,
        "to": f"features:{to}",
        "part_images": part_images,
    }
    job: str = ask(service, "POST", "/v1/jobs", asked)["id"]
    return job


def until(service: Process, job: str, is_there: Callable[[Any], bool]) -> Any:
    return wait_for(lambda: is_there(found := ask(service, "GET", f"/v1/jobs/{job}")) and found)


def ended(found: Any) -> bool:
    return found["state"] not in {"waiting", "running"}


def workers() -> set[int]:
    """The processes of jobs of services that these tests started."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    found = set()
    for line in listed.splitlines():
        if "layerscope.jobs.worker" not in line:
            continue
        process, *_ = line.split()
        with_environment = Path("/proc", process, "environ")
        if with_environment.exists() and str(os.getpid()) in with_environment.read_text("utf-8", "replace"):
            found.add(int(process))
    return found


@pytest.fixture(autouse=True)
def _marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARTED_BY_TEST", str(os.getpid()))


def test_a_job_outlives_services_that_are_killed_and_ended(folder: Folder) -> None:
    with folder.serving() as service:
        whole = start(service, "whole")
        assert until(service, whole, ended)["progress"]["done"] == MANY

    with folder.serving("--workers", "2") as service:
        job = start(service, "killed")
        until(service, job, lambda found: found["progress"]["parts"] > 0)
        (process,) = workers()
        service.process.send_signal(signal.SIGKILL)
        service.end()
        wait_for(lambda: not workers() & {process})
    killed = folder.parts("killed")
    assert 0 < len(killed) < MANY // 2

    with folder.serving() as service:
        # It goes on by itself, with the images that were there at its beginning.
        (folder.path / "photos" / "new.png").write_bytes(samples()["one"].read_bytes())
        until(service, job, lambda found: found["progress"]["parts"] > len(killed))
        (process,) = workers()
        service.process.send_signal(signal.SIGTERM)
        assert service.end() == 0
        wait_for(lambda: not workers() & {process})
    assert len(killed) < len(folder.parts("killed")) < MANY // 2

    with folder.serving() as service:
        found = until(service, job, ended)
        assert (found["state"], found["progress"]["done"]) == ("done", MANY)
        # Asked for again, it says that the images are others now.
        assert start(service, "killed") == job
        assert until(service, job, ended)["error"]["code"] == "job_differs"
    assert folder.parts("killed") == folder.parts("whole")
    assert not workers()


def test_of_two_services_that_share_jobs_one_runs_them_and_the_other_takes_over(folder: Folder) -> None:
    with folder.serving() as one, folder.serving() as other:
        first, second = start(one, "first"), start(other, "second")
        until(other, first, lambda found: found["progress"]["parts"] > 0)
        assert until(one, second, lambda found: True)["state"] == "waiting"
        assert len(workers()) == 1
        one.process.send_signal(signal.SIGKILL)
        one.end()
        for job in (first, second):
            assert until(other, job, ended)["progress"]["done"] == MANY
    assert folder.parts("first") == folder.parts("second")


def test_a_stream_ends_with_its_service(folder: Folder) -> None:
    with folder.serving() as service:
        job = start(service, "streamed")
        connection = HTTPConnection("127.0.0.1", service.port, timeout=60)
        connection.request("GET", f"/v1/jobs/{job}", headers={"Accept": "application/x-ndjson"})
        stream = connection.getresponse()
        while json.loads(stream.readline())["progress"]["parts"] == 0:
            pass
        service.process.send_signal(signal.SIGTERM)
        assert json.loads(stream.read().splitlines()[-1])["code"] == "draining"
        assert service.end() == 0
    assert not workers()


def test_a_model_that_is_unloaded_stops_no_job_and_one_that_was_replaced_does(folder: Folder) -> None:
    with folder.serving("--control", "explicit", LAYERSCOPE_LOAD='["*"]') as service:
        running, waiting = start(service, "running"), start(service, "waiting", "few:digits")
        until(service, running, lambda found: found["progress"]["parts"] > 0)
        ask(service, "POST", "/v1/models/digits/unload")
        (folder.path / "models" / "digits" / "1" / "layerscope.json").write_text('{"classes": null}', "utf-8")
        assert until(service, running, ended)["state"] == "done"
        found = until(service, waiting, ended)
        assert (found["state"], found["error"]["code"]) == ("failed", "job_differs")


def test_an_image_that_ends_its_process_costs_itself_only(folder: Folder) -> None:
    (folder.path / "sitecustomize.py").write_text(DEADLY, "utf-8")
    with folder.serving(PYTHONPATH=str(folder.path)) as service:
        job = start(service, "deadly", "few:digits", 4)
        found = until(service, job, ended)
        assert (found["state"], found["progress"]["done"], found["progress"]["failed"]) == ("done", 9, 1)
        failed = ask(service, "GET", f"/v1/jobs/{job}/failed")["failed"]
        assert [(each["path"], each["code"]) for each in failed] == [("seven.png", "run_failed")]
