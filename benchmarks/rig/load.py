"""The load generator: callers that each send their requests one after the other over a connection of their own.

Run as a process, so that it shares no interpreter with what it measures. It needs nothing but the standard library
and reads no answer beyond its status and length. `burst` is its front; the same generator asks every server.
"""

import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rig.connection import Connection

_BENCHMARKS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Request:
    """A POST."""

    path: str
    body: bytes
    content_type: str


@dataclass(frozen=True)
class Load:
    """Result of a burst.

    Attributes:
        seconds: from the first request to the last answer.
        cpu: CPU seconds of the generator.
        latencies: seconds of each request.
        received: bytes of all answers.
    """

    seconds: float
    cpu: float
    latencies: list[float]
    received: int


def burst(address: str, callers: Sequence[Sequence[Request]]) -> Load:
    """Send the requests of all callers at once, each caller its own in turn.

    Raises:
        RuntimeError: an answer's status was not 200.
    """
    plan = [
        [(each.path, base64.b64encode(each.body).decode(), each.content_type) for each in caller]
        for caller in callers
    ]
    job = json.dumps({"address": address, "callers": plan})
    done = subprocess.run(
        [sys.executable, "-m", "rig.load"],
        cwd=_BENCHMARKS,
        input=job,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Load(**json.loads(done.stdout))


class _Caller(threading.Thread):
    """One caller: it connects together with the others, then sends its requests one after the other."""

    def __init__(self, address: str, requests: Sequence[Request], start_line: threading.Barrier) -> None:
        super().__init__()
        self.latencies: list[float] = []
        self.received = 0
        self.error: Exception | None = None
        self._address = address
        self._requests = requests
        self._start_line = start_line

    def run(self) -> None:
        try:
            with Connection(self._address) as connection:
                connection.open()
                self._start_line.wait()
                for request in self._requests:
                    started = time.perf_counter()
                    self.received += len(connection.post(request.path, request.body, request.content_type))
                    self.latencies.append(time.perf_counter() - started)
        except Exception as error:  # told by the main thread
            self.error = error
            self._start_line.abort()


def _main() -> None:
    job = json.load(sys.stdin)
    start_line = threading.Barrier(len(job["callers"]) + 1)
    callers = [
        _Caller(
            job["address"],
            [Request(path, base64.b64decode(body), kind) for path, body, kind in requests],
            start_line,
        )
        for requests in job["callers"]
    ]
    for caller in callers:
        caller.start()
    start_line.wait()
    started, cpu = time.perf_counter(), time.process_time()
    for caller in callers:
        caller.join()
    if error := next((caller.error for caller in callers if caller.error), None):
        raise error
    latencies = [seconds for caller in callers for seconds in caller.latencies]
    received = sum(caller.received for caller in callers)
    load = Load(time.perf_counter() - started, time.process_time() - cpu, latencies, received)
    json.dump(asdict(load), sys.stdout)


if __name__ == "__main__":
    _main()
