"""CPU seconds and resident memory of a process and all its children, read from /proc."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(root: int) -> float:
    """CPU seconds of the process `root` and its descendants so far, those that have ended included."""
    fields = (_fields(process) for process in _tree(root))
    # utime, stime, and both again for children that have ended and were waited for
    return sum(sum(map(int, each[11:15])) for each in fields if each) / _TICK


def resident_bytes(root: int) -> int:
    """Resident memory of the process `root` and its descendants; shared pages count for each."""
    return sum(int(each[21]) for process in _tree(root) if (each := _fields(process))) * _PAGE


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_until_open(port: int, seconds: float = 120) -> None:
    """Wait until something listens on a port of this machine.

    Raises:
        TimeoutError: nothing does in time.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"Nothing listens on port {port}.")


def _tree(root: int) -> Iterator[int]:
    yield root
    with suppress(OSError):
        for task in Path(f"/proc/{root}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


def _fields(process: int) -> list[str]:
    """The fields of /proc/<process>/stat from the third on: the name before them may hold spaces."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return []
