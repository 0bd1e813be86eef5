"""Clusters of Ray and Dask on this machine, for one test module each, and the processes that they are made of."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from process_tree import are_gone, descendants
from waiting import wait_for

BIN = Path(sys.executable).parent
_TOKEN = secrets.token_hex(32)
"""Ray reads it once in a process, also where that uses one cluster after the other."""

_EXTRACTS = "extraction.runners.worker"
"""In the command line of a process that holds a model."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs.

    Attributes:
        on: what `--on` names it by.
        surroundings: the environment variables of those who use it.
        roots: the processes that it was begun with.
        worker: is in the command line of each of the engine's workers that do shards.
    """

    on: str
    surroundings: dict[str, str]
    roots: tuple[subprocess.Popen[bytes], ...]
    worker: str

    def workers(self) -> list[int]:
        """The engine's own processes that do shards."""
        return [pid for pid, command in self._commands().items() if self.worker in command]

    def extracting(self) -> list[int]:
        """The processes that hold a model."""
        return [pid for pid, command in self._commands().items() if _EXTRACTS in command]

    def _commands(self) -> dict[int, str]:
        return {pid: command for root in self.roots for pid, command in descendants(root.pid).items()}


@contextmanager
def ray_cluster(more: dict[str, str] | None = None) -> Iterator[Cluster]:
    """A head with two processors, and more environment variables for its workers.

    Ray listens on all interfaces, whatever it is told: only who has the token is heard.
    """
    port, client_port, *others = (str(each) for each in free_ports(5))
    # Its sockets need a short path.
    folder = tempfile.mkdtemp(prefix="ray-")
    surroundings = {
        "RAY_ADDRESS": f"127.0.0.1:{port}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": _TOKEN,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_CLIENT": f"ray://127.0.0.1:{client_port}",
    }
    options = {
        "--port": port,
        "--ray-client-server-port": client_port,
        "--dashboard-agent-listen-port": others[0],
        "--dashboard-agent-grpc-port": others[1],
        "--metrics-export-port": others[2],
        "--include-dashboard": "false",
        "--num-cpus": "2",
        "--object-store-memory": str(100 << 20),
        "--temp-dir": folder,
    }
    command = [
        BIN / "ray",
        "start",
        "--head",
        "--block",
        *(part for each in options.items() for part in each),
    ]
    head = subprocess.Popen(
        command,
        env=os.environ
        | (more or {})
        | {name: each for name, each in surroundings.items() if name != "RAY_ADDRESS"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(Path(folder, "ray_current_cluster").exists)
        yield Cluster("ray", surroundings, (head,), "ray::MapWorker")
    finally:
        _end(head)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def dask_cluster(folder: Path) -> Iterator[Cluster]:
    """A scheduler and two workers, each with one thread."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    scheduler = [BIN / "dask", "scheduler", "--port", str(port), *local]
    worker = [BIN / "dask", "worker", address, "--nthreads", "1", "--local-directory", folder, *local]
    roots = tuple(
        subprocess.Popen(command, stderr=subprocess.DEVNULL) for command in (scheduler, worker, worker)
    )
    try:
        cluster = Cluster(f"dask://{address}", {}, roots, "multiprocessing.spawn")
        wait_for(lambda: len(cluster.workers()) == 2)
        yield cluster
    finally:
        for root in reversed(roots):
            _end(root)


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _end(root: subprocess.Popen[bytes]) -> None:
    processes = list(descendants(root.pid))
    root.kill()
    root.wait()
    for each in processes:
        if not are_gone([each]):
            os.kill(each, signal.SIGKILL)
