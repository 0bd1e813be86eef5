"""The service under measurement: a process of its own over a model directory, reached over a real socket."""

import os
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

from rig.processes import cpu_seconds, resident_bytes

_ADDRESS = re.compile(r"serves on (http://\S+)")
_LINES = 200


@dataclass(frozen=True)
class Service:
    """A running service: where it is, its process, and the seconds from starting that to being ready."""

    address: str
    process: int
    started_in: float

    def cpu(self) -> float:
        """CPU seconds it used so far."""
        return cpu_seconds(self.process)

    def memory(self) -> int:
        """Bytes of resident memory it has."""
        return resident_bytes(self.process)


@contextmanager
def serve(
    models: Path | None,
    limits: Mapping[str, int] | None = None,
    settings: Mapping[str, str] | None = None,
    within: Sequence[str] = (),
    source: Path | None = None,
) -> Iterator[Service]:
    """Run `layerscope serve` until the block ends; its output is shown if the block fails.

    Args:
        models: the model directory; the demo model without it.
        limits: limits that differ from the defaults, by name.
        settings: the same of other settings.
        within: a command that runs the one it is given, in surroundings of its own.
        source: the sources that are run, see `rig.earlier`; those of today without it.

    Returns:
        The service, once it is ready.
    """
    chosen = [] if models is None else ["--models", str(models)]
    command = [*within, sys.executable, "-m", "layerscope_api", "serve", "--port", "0", *chosen]
    raised = {f"LAYERSCOPE_LIMITS__{name.upper()}": str(value) for name, value in (limits or {}).items()}
    others = {f"LAYERSCOPE_{name.upper()}": value for name, value in (settings or {}).items()}
    paths = (
        {}
        if source is None
        else {"PYTHONPATH": os.pathsep.join(str(source / part) for part in ("service", "api"))}
    )
    environment = {**os.environ, "COLUMNS": "200", **raised, **others, **paths}
    said: deque[str] = deque(maxlen=_LINES)
    started = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        reader = Thread(target=said.extend, args=(process.stderr,), daemon=True)
        try:
            address = _address(process, said)
            # Read on, so that it never waits for a reader.
            reader.start()
            _wait_until_ready(address)
            yield Service(address, process.pid, time.perf_counter() - started)
        except BaseException:
            sys.stderr.writelines(said)
            raise
        finally:
            process.terminate()
            if reader.is_alive():
                reader.join()


def _address(process: "subprocess.Popen[str]", said: "deque[str]") -> str:
    assert process.stderr is not None  # noqa: S101 - asked for above
    for line in process.stderr:
        said.append(line)
        if match := _ADDRESS.search(line):
            return match[1]
    raise SystemExit("The service did not start.")


def _wait_until_ready(address: str) -> None:
    for _ in range(10_000):
        with suppress(OSError), urlopen(f"{address}/v2/health/ready", timeout=10):
            return
        time.sleep(0.01)
    raise SystemExit("The service did not become ready.")
