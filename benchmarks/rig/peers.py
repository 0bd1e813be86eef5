"""Peers of a comparison that need an environment of their own, made once from pinned requirements.

`peers/<name>.txt` holds the pins, `.venv-bench/<name>` the environment. A peer that is a library runs as a *worker*: a
process that does one task for each line it is sent, and answers with the seconds that took.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rig.paired import Way
from rig.processes import cpu_seconds, wait_until_open

PEERS = Path(__file__).parents[1] / "peers"
_ENVIRONMENTS = Path(__file__).parents[2] / ".venv-bench"


def environment(name: str) -> Path:
    """The `bin` folder of a peer's environment, made or renewed if its pins have changed."""
    pins = (PEERS / f"{name}.txt").read_text("utf-8")
    folder = _ENVIRONMENTS / name
    installed = folder / "installed.txt"
    if not installed.is_file() or installed.read_text("utf-8") != pins:
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        python = folder / "bin" / "python"
        requirements = ["--requirements", PEERS / f"{name}.txt"]
        install = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--no-deps", "--python", python]
        subprocess.run([*install, *requirements], check=True)
        installed.write_text(pins, "utf-8")
    return folder / "bin"


@dataclass(frozen=True)
class Worker:
    """A running worker and its model."""

    process: int
    requests: IO[str]
    answers: IO[str]

    def way(self, task: str) -> Way:
        """One task of the worker, run on an image file."""

        def run(image: bytes) -> float:
            with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
                file.write(image)
                file.flush()
                self.requests.write(json.dumps({"task": task, "image": file.name}) + "\n")
                self.requests.flush()
                answer = self.answers.readline()
            if not answer:
                raise SystemExit("The worker ended.")
            return float(json.loads(answer)["seconds"])

        return Way(run, lambda: cpu_seconds(self.process))


@contextmanager
def worker(peer: str, script: str, *arguments: str) -> Iterator[Worker]:
    """Run `peers/<script>` in the environment of `peer` until the block ends."""
    with _running(peer, ["python", str(PEERS / script), *arguments], {}, piped=True) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - asked for above
        yield Worker(process.pid, process.stdin, process.stdout)


@dataclass(frozen=True)
class Server:
    """A running server of a peer."""

    address: str
    process: int

    def cpu(self) -> float:
        """CPU seconds it used so far."""
        return cpu_seconds(self.process)


@contextmanager
def server(
    peer: str, command: list[str], port: int, extra: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a command of a peer's environment until the block ends; begins when it listens on `port`."""
    with _running(peer, command, extra or {}, piped=False) as process:
        wait_until_open(port)
        yield Server(f"http://127.0.0.1:{port}", process.pid)


@contextmanager
def _running(
    peer: str, command: list[str], extra: Mapping[str, str], *, piped: bool
) -> "Iterator[subprocess.Popen[str]]":
    """Run a peer; its output is shown only if it fails to start."""
    program, *arguments = command
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE} if piped else {"stdout": subprocess.DEVNULL}
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            [str(environment(peer) / program), *arguments],
            stderr=said,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **extra},
            start_new_session=True,
            **pipes,
        ) as process,
    ):
        try:
            yield process
        except BaseException:
            said.seek(0)
            sys.stderr.write(said.read()[-4_000:])
            raise
        finally:
            _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    """End the process and all its children, because not every server ends its children."""
    process.terminate()
    for _ in range(100):
        if process.poll() is not None:
            break
        time.sleep(0.1)
    else:
        process.kill()
