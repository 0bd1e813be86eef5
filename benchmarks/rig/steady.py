"""Ordinary callers: each sends a request at fixed times, whatever became of the one before, and a probe is sent in between.

Run as a process of its own, with a low niceness of others, so that what is measured is the service.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

from rig.models import SIDE
from rig.pictures import pictures

_BENCHMARKS = Path(__file__).parents[1]
_CALLERS = 2
_PERIOD = 0.2
_PROBE_PERIOD = 0.1
_PATIENCE = 60.0
"""The seconds between two requests of a caller, those between two probes, and those after which an answer is given up."""


@dataclass
class Answers:
    """What was answered: seconds by status, 0 where none came."""

    ordinary: dict[str, list[float]] = field(default_factory=dict)
    probes: dict[str, list[float]] = field(default_factory=dict)


def started(address: str, key: str, path: str, seconds: float) -> "subprocess.Popen[str]":
    """Start the callers, as a process that prints its `Answers`."""
    command = [sys.executable, "-m", "rig.steady", address, key, path, str(seconds)]
    return subprocess.Popen(command, cwd=_BENCHMARKS, stdout=subprocess.PIPE, text=True)


def answers_of(process: "subprocess.Popen[str]") -> Answers:
    """What the callers got, when they are done."""
    said, _ = process.communicate()
    return Answers(**json.loads(said))


def _call(address: str, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> str:
    """The status of one answer, which is read whole, over a connection of its own."""
    connection = http.client.HTTPConnection(address, timeout=_PATIENCE)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return "0"
    finally:
        connection.close()
    return str(answer.status)


def _main(address: str, key: str, path: str, seconds: float) -> None:
    answers, lock = Answers(), threading.Lock()
    count = int(seconds / _PERIOD)
    images = [
        list(islice(pictures(SIDE, SIDE, seed=int(time.time()) + caller), count))
        for caller in range(_CALLERS)
    ]
    began = time.monotonic()

    def send(
        kept: dict[str, list[float]], method: str, where: str, body: bytes | None, number: int, period: float
    ) -> None:
        time.sleep(max(0.0, began + number * period - time.monotonic()))
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "image/jpeg"} if body else {}
        start = time.perf_counter()
        status = _call(address, method, where, body, headers)
        with lock:
            kept.setdefault(status, []).append(time.perf_counter() - start)

    def ordinary(caller: int) -> None:
        for number, image in enumerate(images[caller]):
            send(answers.ordinary, "POST", path, image, number, _PERIOD)

    def probes() -> None:
        for number in range(int(seconds / _PROBE_PERIOD)):
            send(answers.probes, "GET", "/v2/health/ready", None, number, _PROBE_PERIOD)

    threads = [threading.Thread(target=ordinary, args=(each,)) for each in range(_CALLERS)]
    threads.append(threading.Thread(target=probes))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump(asdict(answers), sys.stdout)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))
