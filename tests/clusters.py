"""Clusters of Ray and Dask on this machine, for one test module each, and the processes that they are made of."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from free_ports import free_ports, is_open
from process_tree import descendants
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
        # Else its server for machines outside at times ends as it begins: ray-project/ray#63202.
        "GRPC_ENABLE_FORK_SUPPORT": "0",
        # What other processes of this machine take is not the cluster's to free, nor is its pace.
        "RAY_memory_monitor_refresh_ms": "0",
        "RAY_worker_register_timeout_seconds": "300",
        "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "300",
        "RAY_CLIENT": f"ray://127.0.0.1:{client_port}",
    }
    options = {
        "--port": port,
        "--ray-client-server-port": client_port,
        "--dashboard-agent-listen-port": others[0],
        "--dashboard-agent-grpc-port": others[1],
        "--metrics-export-port": others[2],
        # Any that are free.
        "--min-worker-port": "0",
        "--max-worker-port": "0",
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
    everything = os.environ | (more or {}) | surroundings
    del everything["RAY_ADDRESS"]
    log = Path(folder, "start.log")
    with log.open("wb") as file:
        head = subprocess.Popen(command, env=everything, stdout=file, stderr=file)
    try:
        wait_for(lambda: Path(folder, "ray_current_cluster").exists() or head.poll() is not None)
        assert head.poll() is None, log.read_text("utf-8")
        yield Cluster("ray", surroundings, (head,), "ray::MapWorker")
    finally:
        _end(head)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def dask_cluster(folder: Path, more: dict[str, str] | None = None) -> Iterator[Cluster]:
    """A scheduler and two workers, each with one thread, and more environment variables for these."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    scheduler = [BIN / "dask", "scheduler", "--port", str(port), *local]
    worker = [BIN / "dask", "worker", address, "--nthreads", "1", "--local-directory", folder, *local]
    with ExitStack() as stack:

        def start(command: list[str | Path]) -> subprocess.Popen[bytes]:
            root = subprocess.Popen(command, env=os.environ | (more or {}), stderr=subprocess.DEVNULL)
            stack.callback(_end, root)
            return root

        first = start(scheduler)
        wait_for(lambda: is_open(port))
        cluster = Cluster(
            f"dask://{address}", {}, (first, start(worker), start(worker)), "multiprocessing.spawn"
        )
        wait_for(lambda: len(cluster.workers()) == 2)
        yield cluster


def _end(root: subprocess.Popen[bytes]) -> None:
    processes = list(descendants(root.pid))
    root.kill()
    root.wait()
    for each in processes:
        # Some end by themselves when the first has.
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
