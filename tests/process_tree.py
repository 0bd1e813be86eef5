"""The processes that a process has started, as Linux lists them."""

from pathlib import Path


def descendants(pid: int) -> dict[int, str]:
    """The command lines of the processes that a process has started, and theirs, by process id."""
    found: dict[int, str] = {}
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, _read(children).split()):
            found |= {child: _read(Path(f"/proc/{child}/cmdline")).replace("\0", " "), **descendants(child)}
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs. Where nobody collects orphans, they stay as zombies, which do not run."""
    return _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2][1:2] not in {"", "Z"}


def are_gone(pids: list[int]) -> bool:
    """Whether none of some processes runs any more."""
    return not any(map(is_alive, pids))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
