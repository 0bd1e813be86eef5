"""A memory cgroup: a group of processes that the system ends when they take more memory than a bound together."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_MIB = 1 << 20


@dataclass(frozen=True)
class MemoryGroup:
    """A group, or, where this system lets nobody make one, none: then nothing is bounded.

    Attributes:
        folder: where the system has it; None without one.
        is_second: whether it is one of cgroup v2.
    """

    folder: Path | None
    is_second: bool = False

    @property
    def within(self) -> list[str]:
        """The beginning of a command: the rest of it runs in the group."""
        if self.folder is None:
            return []
        return ["sh", "-c", f'echo $$ > "{self.folder}/cgroup.procs"; exec "$@"', "-"]

    def killed(self) -> int | None:
        """How many processes the system has ended for their memory; None if nobody counts."""
        if self.folder is None:
            return None
        events = (self.folder / ("memory.events" if self.is_second else "memory.oom_control")).read_text()
        return int(dict(line.split() for line in events.splitlines())["oom_kill"])

    def peak_bytes(self) -> int | None:
        """The most memory that the group had at once, files in the page cache included; None if nobody counts."""
        if self.folder is None:
            return None
        return int(
            (self.folder / ("memory.peak" if self.is_second else "memory.max_usage_in_bytes")).read_text()
        )


@contextmanager
def memory_group(most_bytes: int) -> Iterator[MemoryGroup]:
    """A group below that of this process, until the block ends. Its processes must have ended then."""
    folder, is_second = _place()
    if folder is None:
        yield MemoryGroup(None)
        return
    try:
        folder.mkdir()
        (folder / ("memory.max" if is_second else "memory.limit_in_bytes")).write_text(str(most_bytes))
    except OSError:
        with suppress(OSError):
            folder.rmdir()
        yield MemoryGroup(None)
        return
    try:
        yield MemoryGroup(folder, is_second)
    finally:
        with suppress(OSError):
            folder.rmdir()


def _place() -> tuple[Path | None, bool]:
    """Where a group can be made, and whether that is cgroup v2."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    name = f"layerscope-{os.getpid()}"
    for _, controllers, path in lines:
        if "memory" in controllers.split(","):
            return _ROOT / "memory" / path.lstrip("/") / name, False
    own = next((_ROOT / path.lstrip("/") for _, controllers, path in lines if not controllers), _ROOT)
    for parent in (own, _ROOT):
        granted = parent / "cgroup.subtree_control"
        if granted.is_file() and "memory" in granted.read_text().split():
            return parent / name, True
    return None, False
