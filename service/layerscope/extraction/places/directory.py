"""Directories of this machine, or of a network: what is written appears by one rename."""

import errno
import glob
import os
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from layerscope.extraction.places.place import Stamp
from layerscope.models.durable import synchronise_folder
from layerscope.models.regular_files import open_regular

_HOST = socket.gethostname().replace("~", "-").replace("/", "-")

_OLD_SECONDS = 24 * 3_600
"""When a hidden file belongs to no process any more."""


class Directory:
    """A directory. Links to files are followed, links to folders are not.

    Args:
        path: of it.
        within: the folder that no file may be outside of, also behind links; None for no such bound.
    """

    def __init__(self, path: Path, within: Path | None = None) -> None:
        self.address = str(path)
        self._path = path
        self._within = within

    def exists(self) -> bool:
        """Whether it is there."""
        return self._path.is_dir()

    def files(self, below: str = "") -> Iterator[tuple[str, Stamp]]:
        """The regular files below a folder, the ones of a folder before those of the folders in it."""

        def fail(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                raise error

        for folder, names, files in os.walk(self._path / below, onerror=fail):
            names[:] = sorted(name for name in names if name[0] != ".")
            for name in sorted(files):
                path = Path(folder, name)
                with suppress(OSError):
                    status = path.stat()
                    if name[0] != "." and stat.S_ISREG(status.st_mode) and is_within(path, self._within):
                        yield printable(path.relative_to(self._path).as_posix()), _stamp(status)

    def matching(self, pattern: str) -> list[str]:
        """The paths of the regular files that a pattern matches."""
        found = glob.glob(pattern, root_dir=self._path, recursive=True)  # noqa: PTH207 - `**` is to match files, too
        return sorted(printable(each) for each in found if self._has(self._path / each))

    def stamp(self, path: str) -> Stamp:
        """The length of a file, and when it was changed last."""
        return _stamp(self._at(path).stat())

    def open(self, path: str) -> BinaryIO:
        """A regular file."""
        return open_regular(self._at(path), follow=True)

    def read(self, path: str, start: int, length: int) -> bytes:
        """A part of a regular file."""
        with self.open(path) as file:
            file.seek(start)
            return file.read(length)

    def make(self) -> None:
        """Make the directory."""
        self._path.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def writing(self, path: str, last: str = "") -> Iterator[Path]:
        """Write beside the path: what is written is flushed to the disk, and takes its place by one rename."""
        target = self._path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        written = _hidden(target)
        try:
            yield written
            files = list(written.iterdir()) if written.is_dir() else [written]
            for each in files:
                with each.open("rb") as file:
                    os.fsync(file.fileno())
            if written.is_dir():
                synchronise_folder(written)
                _make_way(target, last)
            try:
                written.rename(target)
            except OSError:
                if not (target / last).exists():
                    raise
            synchronise_folder(target.parent)
        finally:
            with suppress(OSError):
                shutil.rmtree(written) if written.is_dir() else written.unlink()

    def delete(self, path: str) -> None:
        """Delete a file."""
        (self._path / path).unlink(missing_ok=True)

    def discard(self, folder: str) -> None:
        """Delete a folder: all of it is gone at once."""
        path = self._path / folder
        hidden = _hidden(path)
        path.rename(hidden)
        synchronise_folder(path.parent)
        shutil.rmtree(hidden, ignore_errors=True)

    def _has(self, path: Path) -> bool:
        return path.is_file() and is_within(path, self._within)

    def _at(self, path: str) -> Path:
        found = self._path / path
        if not is_within(found, self._within):
            raise PermissionError(errno.EPERM, "it is a link to another place", path)
        return found

    def sweep(self) -> None:
        """Delete the hidden files of processes that are gone."""
        for path in self._path.rglob(".*~*~*~*"):
            with suppress(OSError):
                if _is_abandoned(path):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _hidden(path: Path) -> Path:
    """A path beside another that no other process has, and that `sweep` knows."""
    process = f"{os.getpid()}-{_began(os.getpid())}"
    return path.with_name(f".{path.name}~{_HOST}~{process}~{secrets.token_hex(4)}")


def _make_way(folder: Path, last: str) -> None:
    """Delete what is left of a folder whose deletion was interrupted: a folder is not replaced by a rename.

    A whole one stays. Another process that did the same wrote the same.
    """
    if folder.exists() and not (folder / last).exists():
        shutil.rmtree(folder, ignore_errors=True)


def is_within(path: Path, folder: Path | None) -> bool:
    """Whether a path leads to something in a folder, links followed; always true without a folder."""
    return folder is None or path.resolve().is_relative_to(folder.resolve())


def printable(name: str) -> str:
    """A file's name as it is written into a result, which takes no name that is not UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_size, status.st_mtime_ns)


def _is_abandoned(path: Path) -> bool:
    """Whether the process that wrote a hidden file is gone. Of one on another machine, nobody knows for a day."""
    *_, host, process, _ = path.name.split("~")
    number, _, began = process.partition("-")
    if host == _HOST and began and began != _began(number):
        return True
    return time.time() - path.stat().st_mtime > _OLD_SECONDS


def _began(process: int | str) -> str:
    """When a process began, in ticks since the system did; empty if it has ended, or on a system that does not tell.

    Its number alone does not name it: numbers are given again, and a process keeps its own until somebody has waited for it.
    """
    try:
        state, *others = Path(f"/proc/{process}/stat").read_text("latin-1").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in {"X", "Z"} else others[18]
