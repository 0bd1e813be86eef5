"""Requests beside a job: two callers ask for a middle layer of MobileNetV2 five times a second each, with new images.

Meanwhile a job of the same service writes the means of that layer for a folder of JPEGs. Turns with the job and turns without it
alternate; those with it begin when the first part is there. The job uses all processors, and yields to the requests.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from typing import Any

from rig import steady
from rig.connection import activations_path
from rig.figures import Figure
from rig.models import MIDDLE, SIDE, mobilenet, save
from rig.pictures import pictures
from rig.service import serve

MODEL = "mobilenetv2"
TURNS = 3
SECONDS = 20.0
_PICTURES, _LINKS = 300, 40
_PART = 32


def measure() -> dict[str, Figure]:
    """How much slower the slowest requests are beside a job, and how quick the job is."""
    with tempfile.TemporaryDirectory() as folder:
        models, photos, features = (Path(folder, name) for name in ("models", "photos", "features"))
        save(mobilenet(), models, MODEL)
        photos.mkdir()
        features.mkdir()
        for number, jpeg in enumerate(islice(pictures(SIDE, SIDE), _PICTURES)):
            (photos / f"{number}-0.jpg").write_bytes(jpeg)
            for link in range(1, _LINKS):
                os.link(photos / f"{number}-0.jpg", photos / f"{number}-{link}.jpg")
        settings = {
            "jobs": str(Path(folder, "jobs")),
            "models_cache": str(Path(folder, "cache")),
            "places": json.dumps({"photos": str(photos), "features": str(features)}),
            "writable_places": '["features"]',
        }
        with serve(models, settings=settings) as service:
            return _measured(service.address.removeprefix("http://"))


def _measured(address: str) -> dict[str, Figure]:
    path = activations_path(MODEL, layers=MIDDLE)
    steady.answers_of(steady.started(address, "", path, 5))
    idle, beside, rates = [], [], []
    for turn in range(TURNS):
        idle += _seconds(address, path)
        with _job(address, f"features:{turn}") as done:
            before, began = done(), time.monotonic()
            beside += _seconds(address, path)
            rates.append((done() - before) / (time.monotonic() - began))
    with _job(address, "features:alone") as done:
        before, began = done(), time.monotonic()
        time.sleep(SECONDS)
        alone = (done() - before) / (time.monotonic() - began)
    return {
        "p99": Figure(
            what="the 99th percentile of requests beside a job",
            against="that of the same requests without one",
            value=_p99(beside) / _p99(idle),
            unit="x the time",
            most=2,
            details={
                "without_ms": _p99(idle) * 1000,
                "beside_ms": _p99(beside) * 1000,
                "median_without_ms": statistics.median(idle) * 1000,
                "median_beside_ms": statistics.median(beside) * 1000,
                "requests": len(beside),
            },
        ),
        "job": Figure(
            what="images a second of the job beside the requests",
            against="those of the job alone",
            value=statistics.median(rates) / alone,
            unit="x the throughput",
            details={"beside": statistics.median(rates), "alone": alone},
        ),
    }


def _seconds(address: str, path: str) -> list[float]:
    """The seconds of the requests of one turn, all of which must be answered."""
    answers = steady.answers_of(steady.started(address, "", path, SECONDS)).ordinary
    if set(answers) != {"200"}:
        raise SystemExit(
            f"Not all requests were answered: { ({each: len(answers[each]) for each in answers}) }."
        )
    return answers["200"]


@contextmanager
def _job(address: str, to: str) -> Iterator[Any]:
    """A running job, which is stopped at the end of the block; how many images it has done."""
    asked = {
        "model": MODEL,
        "layers": [MIDDLE],
        "reduce": "mean",
        "data": "photos:",
        "to": to,
        "part_images": _PART,
    }
    job = _asked(address, "POST", "/v1/jobs", asked)
    path = f"/v1/jobs/{job['id']}"

    def done() -> int:
        found = _asked(address, "GET", path)
        if found["state"] not in {"waiting", "running"}:
            raise SystemExit(f"The job is {found['state']}, before the end of the turn: {found['error']}.")
        return int(found["progress"]["done"])

    first = done()
    while done() == first:
        time.sleep(0.1)
    try:
        yield done
    finally:
        _asked(address, "DELETE", path)
        # Its process ends with the next look of the service.
        time.sleep(2)


def _asked(address: str, method: str, path: str, body: Any = None) -> Any:
    connection = HTTPConnection(address, timeout=60)
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, {"Content-Type": "application/json"})
    found = json.loads(connection.getresponse().read())
    connection.close()
    return found


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.99 * (len(seconds) - 1))]
