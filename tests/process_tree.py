"""The processes that a process has started, as Linux lists them."""

import time
from collections.abc import Callable
from pathlib import Path


def descendants(pid: int) -> dict[int, str]:
    """The command lines of the processes that a process has started, and theirs, by process id."""
    found: dict[int, str] = {}
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, _read(children).split()):
            found |= {child: _read(Path(f"/proc/{child}/cmdline")).replace("\0", " "), **descendants(child)}
    return found


def are_gone(pids: list[int]) -> bool:
    """Whether none of some processes runs any more; one that nobody has waited for does not run."""
    return all(_read(Path(f"/proc/{pid}/stat")).rpartition(")")[2][1:2] in {"", "Z"} for pid in pids)


def wait_for(met: Callable[[], bool]) -> None:
    """Wait for a condition, a minute at most."""
    last = time.monotonic() + 60
    while not met():
        assert time.monotonic() < last
        time.sleep(0.05)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
