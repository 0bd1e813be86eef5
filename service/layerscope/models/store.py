"""Put accepted models into a directory: whole or not at all, whatever happens meanwhile.

    DIR/.incoming/<random>/            what is being checked; its folder is locked by who does it
    DIR/<name>/<version>/model.keras   a version, and beside it `accepted.json` with the digest of the file that came

Everything is written and synchronised under `.incoming`; one rename of the folder makes it a version. What a process
that was killed has left is unlocked, and is removed when the next one comes. It is the layout of `models.directory`, so
that what is stored can be served, copied and looked at.
"""

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from layerscope.errors import OptionInvalid, StorageFull
from layerscope.limits import Limits
from layerscope.models.acceptance import Report, accept
from layerscope.models.directory import SUFFIXES, is_model_name

_INCOMING = ".incoming"
_RECORD = "accepted.json"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True)
class AddedModel:
    """A version in the store; `is_new` unless the same file was there under that name already."""

    name: str
    version: int
    report: Report
    is_new: bool


class ModelStore:
    """The accepted models in a directory. Safe to use from many threads and processes.

    Args:
        directory: a directory of models; it is made if it is not there.
        limits: `model_store_bytes` bounds what the accepted models take; the others are those of `accept`.
    """

    def __init__(self, directory: Path, limits: Limits) -> None:
        self._directory = directory
        self._limits = limits
        self._incoming = directory / _INCOMING
        self._incoming.mkdir(parents=True, exist_ok=True)
        self.sweep()

    def add(self, file: Path, name: str) -> AddedModel:
        """Check a model file, and store a fresh one of it as the next version.

        Raises:
            OptionInvalid: a model cannot have that name.
            StorageFull: there is no room, on the disk or under the quota; nothing has changed.
            ModelRefused, UnsupportedFormat: see `accept`.
        """
        if not is_model_name(name):
            raise OptionInvalid(
                f"A model cannot be called {name[:80]!r}: use small letters, digits, dots, dashes and underscores.",
                option="name",
            )
        try:
            with self._arriving() as folder:
                report = accept(file, folder / f"model{file.suffix}", self._limits)
                (folder / _RECORD).write_text(json.dumps(asdict(report)), "utf-8")
                _synchronise(folder)
                return self._commit(folder, name, report)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise StorageFull("There is no room left on the disk for the model.") from error
            raise

    def sweep(self) -> None:
        """Remove what processes that have ended left behind."""
        with self._locked():
            for folder in self._incoming.iterdir():
                if folder.is_dir() and _is_left(folder):
                    shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _arriving(self) -> Iterator[Path]:
        with self._locked():
            folder = Path(tempfile.mkdtemp(dir=self._incoming))
            lock = _lock(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)

    def _commit(self, folder: Path, name: str, report: Report) -> AddedModel:
        with self._locked():
            versions = self._versions(name)
            for version, record in versions.items():
                if record.get("digest") == report.digest:
                    return AddedModel(name, version, report, is_new=False)
            self._require_room(folder)
            version = max(versions, default=0) + 1
            target = self._directory / name / str(version)
            target.parent.mkdir(exist_ok=True)
            folder.rename(target)
            _synchronise_folder(target.parent)
            _synchronise_folder(self._directory)
            return AddedModel(name, version, report, is_new=True)

    def _versions(self, name: str) -> dict[int, dict[str, object]]:
        """Every version of a model, and what is recorded of those that were accepted."""
        folders = [path for path in (self._directory / name).glob("[1-9]*") if path.name.isdecimal()]
        found = {int(path.name): _record(path) for path in folders}
        if any((self._directory / f"{name}{suffix}").is_file() for suffix in SUFFIXES):
            found.setdefault(1, {})
        return found

    def _require_room(self, folder: Path) -> None:
        stored = [
            path.parent
            for path in self._directory.glob(f"*/*/{_RECORD}")
            if path.parent.parent != self._incoming
        ]
        taken, coming = sum(map(_size, stored)), _size(folder)
        if taken + coming > self._limits.model_store_bytes:
            raise StorageFull(
                f"The accepted models take {taken:,} bytes, and with this one they would pass the"
                f" {self._limits.model_store_bytes:,} that they may take: remove one of them.",
                size=coming,
                taken=taken,
                limit=self._limits.model_store_bytes,
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One at a time, of all threads and processes; whoever is killed lets go."""
        lock = _lock(self._incoming)
        try:
            yield
        finally:
            os.close(lock)


def _lock(folder: Path, how: int = fcntl.LOCK_EX) -> int:
    """Lock a folder until the descriptor is closed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_left(folder: Path) -> bool:
    try:
        os.close(_lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _record(folder: Path) -> dict[str, object]:
    try:
        record = json.loads((folder / _RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def _synchronise(folder: Path) -> None:
    """On the disk before it is renamed: the files, then the folder that lists them."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    _synchronise_folder(folder)


def _synchronise_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
