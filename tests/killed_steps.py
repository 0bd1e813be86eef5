"""Processes that are killed at every step of a change of files."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

_CHANGING = frozenset(
    {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.truncate", "shutil.rmtree"}
)


def run_script(code: str, *arguments: object) -> None:
    """Run code that calls `killed_at_every_step` in a process that has no threads, and can be forked therefore."""
    found_here = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True, env=found_here)


def killed_at_every_step(before: Path, name: str, change: Callable[[Path], object]) -> Iterator[Path]:
    """Make a change in copies of a folder, each in a process that is killed one step later.

    Args:
        before: the folder as it is before.
        name: what the copies beside it are called, before the number of the step.
        change: is called with a copy.

    Returns:
        Each copy, when its process has ended; in the last one nobody was killed.
    """
    folder, step, last = before, 0, 0

    def watch(event: str, args: tuple[object, ...]) -> None:
        nonlocal step
        writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        if last and (writes or event in _CHANGING) and str(folder) in str(args[0]):
            step += 1
            if step == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    for number in itertools.count(1):
        folder = before.with_name(f"{name} {number}")
        shutil.copytree(before, folder)
        child = os.fork()
        if not child:
            last = number
            change(folder)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        yield folder
        if status == 0:
            return
