"""Disks of a few hundred kilobytes, as they are when they are full."""

import functools
import subprocess

import pytest

_MOUNTED = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'


def on_small_disk(folder: object, kilobytes: int) -> list[str]:
    """The beginning of a command: the rest of it sees an empty disk of that size in a folder, and nobody else does."""
    if not _may_mount():
        pytest.skip("no disk can be mounted here, not even for one process")
    within = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _MOUNTED, "sh"]
    return [*within, f"{kilobytes}k", str(folder)]


@functools.cache
def _may_mount() -> bool:
    try:
        command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
