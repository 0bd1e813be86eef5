"""The store of uploaded models: a version is in the directory whole or not at all, even if a process is killed.

    DIR/.incoming/<random>/            a version on its way in or out; the process that moves it holds a lock on the folder
    DIR/<name>/<version>/model.keras   a version, and beside it `accepted.json` with the digest of the uploaded file

A version is added in three steps, so that a crash after any of them leaves the directory correct:

1. All files are written into a new folder under `.incoming`.
2. The files, then the folder, are flushed to the disk (fsync). A rename may reach the disk before the content of files does:
   without this, a power failure could leave a version whose files are empty.
3. One rename moves the folder into the directory, and the parent folders are flushed. A rename is atomic: other processes see
   no version or a whole one.

A version is removed by one rename back to `.incoming`. The lock of a folder (flock) ends with its process, so a folder
without a lock was left by a process that was killed, and the next start deletes it. The layout is that of
`models.directory`, so stored versions can be served and copied as they are. A file that the store has already, under any
name, is a hard link and takes no more room.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from layerscope.errors import ControlRefused, OptionInvalid, StorageFull
from layerscope.limits import Limits
from layerscope.models.bounds import OpeningBounds
from layerscope.models.commit import Commit
from layerscope.models.directory import RECORD, SUFFIXES, ModelSource, is_model_name
from layerscope.models.durable import storing, synchronise, synchronise_folder
from layerscope.models.ledger import Ledger
from layerscope.models.manifest import FILE_NAME, Manifest
from layerscope.models.quota import CAME, CLAIMED, INCOMING, Claim, Quota, lock_folder, size_of
from layerscope.models.regular_files import read_record
from layerscope.models.validation import Report, suffix_of, validate

_MOST_AHEAD_BYTES = 16 * 1024 * 1024
"""How much room a file that is being received takes ahead, so that the store is not counted for every piece of it."""


@dataclass(frozen=True)
class AddedModel:
    """A version in the store. `is_new` is false if that name already has the same file with the same declaration."""

    name: str
    version: int
    report: Report
    is_new: bool


class IncomingFile:
    """A file that is being received. It takes room in the store as its bytes come, and no more.

    Args:
        path: the file.
        make_room: lets it have a length.
    """

    def __init__(self, path: Path, make_room: Callable[[Path, int], None]) -> None:
        self.path = path
        self._make_room = make_room
        self._room = 0

    def make_room(self, size: int) -> None:
        """Take room for `size` bytes in all, before they are written; some ahead where there is plenty.

        Raises:
            StorageFull: there is no room.
        """
        if size <= self._room:
            return
        try:
            self._take(size + min(size, _MOST_AHEAD_BYTES))
        except StorageFull:
            self._take(size)

    def _take(self, size: int) -> None:
        self._make_room(self.path, size)
        self._room = size


class ModelStore:
    """The uploaded models in a directory. Safe to use from many threads and processes.

    Args:
        directory: a directory of models; it is made if it is not there.
        limits: `model_store_bytes` bounds the stored models together with the uploads in progress, see `quota`; `validate`
            uses the others.

    Raises:
        StorageFull, ControlRefused, SourceUnreachable: see `storing`.
    """

    def __init__(self, directory: Path, limits: Limits) -> None:
        self._directory = directory
        self._limits = limits
        self._quota = Quota(str(directory.absolute()), RECORD, limits.model_store_bytes)
        self._incoming = directory / INCOMING
        with storing():
            self._incoming.mkdir(parents=True, exist_ok=True)
        self.sweep()

    @contextmanager
    def receiving(self) -> Iterator["IncomingFile"]:
        """A file to receive a model in; it is deleted when the context ends.

        Raises:
            StorageFull, ControlRefused: see `storing`.
        """
        with self._arriving() as folder:
            file = folder / CAME
            with storing():
                file.touch()
            yield IncomingFile(file, self._make_room)

    def _make_room(self, file: Path, size: int) -> None:
        """Let a file that is being received have so many bytes, which no other upload can have then.

        Raises:
            StorageFull: there is no room.
        """
        with storing():
            self._quota.resize(file, size)

    def add(
        self,
        file: Path,
        name: str,
        declaration: Manifest | None = None,
        probe: Callable[[ModelSource], None] = lambda _: None,
        commit: Commit | None = None,
    ) -> AddedModel:
        """Check a model file, and store a fresh one of it as the next version.

        Args:
            file: a model file. Its name ends in `.keras`, `.h5` or `.hdf5`; without an ending its first bytes tell the format.
            name: what to call the model.
            declaration: what is declared with it, and is data.
            probe: opens the fresh file as it will be served, and raises the error for which it is refused.
            commit: the decision to store it; a caller who no longer waits has decided against it.

        Raises:
            DeadlineExceeded: the caller has given it up; nothing has changed.
            OptionInvalid: a model cannot have that name.
            StorageFull: there is no room, on the disk or under the quota; nothing has changed.
            ControlRefused: the ledger of the model cannot be read, or the directory may not be written.
            ModelRefused, UnsupportedFormat: see `validate`.
        """
        require_model_name(name)
        with storing(), self._arriving() as folder:
            fresh = folder / f"model{suffix_of(file)}"
            # What came over the network lies under `.incoming`, and has claimed its length already.
            claiming = file.parent if file.parent.parent == self._incoming else folder
            claim = Claim(self._quota, str(claiming.absolute()))
            report = validate(file, fresh, self._limits, claim)
            if declaration is not None:
                (folder / FILE_NAME).write_text(declaration.model_dump_json(exclude_unset=True), "utf-8")
            probe(ModelSource(name, 1, fresh, folder, bounds=OpeningBounds.of(self._limits)))
            stored = _digest(fresh)
            (folder / RECORD).write_text(json.dumps({**asdict(report), "stored": stored}), "utf-8")
            claim(size_of(path for path in folder.iterdir() if path.name != CLAIMED))
            (folder / CLAIMED).unlink(missing_ok=True)
            synchronise(folder)
            with self._quota.locked():
                return self._commit(folder, name, report, stored, commit or Commit())

    def remove(self, name: str, version: int) -> None:
        """Remove an uploaded version. Its number is never used again.

        Raises:
            ControlRefused: an operator put it there by hand, or its ledger cannot be read.
        """
        with storing(), self._arriving() as folder, self._quota.locked():
            taken = self._directory / name / str(version)
            if not (taken / RECORD).is_file():
                raise ControlRefused(
                    f"Somebody put {name}@{version} into the directory of models by hand: remove it there.",
                    model=name,
                    version=version,
                )
            Ledger.change(self._directory, name, lambda ledger: ledger.without(version))
            taken.rename(folder / "removed")
            synchronise_folder(taken.parent)

    def sweep(self) -> None:
        """Delete the folders that killed processes left under `.incoming`."""
        with self._quota.locked():
            for folder in self._incoming.iterdir():
                if folder.is_dir() and _is_left(folder):
                    _discard(folder)

    @contextmanager
    def _arriving(self) -> Iterator[Path]:
        with storing():
            # Somebody may have tidied it up. The directory itself is not made again: it may be a disk that is not mounted.
            self._incoming.mkdir(exist_ok=True)
            with self._quota.locked():
                folder = Path(tempfile.mkdtemp(dir=self._incoming))
                lock = lock_folder(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)

    def _commit(self, folder: Path, name: str, report: Report, stored: str, commit: Commit) -> AddedModel:
        versions = self._versions(name)
        for version, record in versions.items():
            if record.get("digest") == report.digest and self._is_declared_alike(folder, name, version):
                return AddedModel(name, version, report, is_new=False)
        self._share(folder, stored)
        version = max([*versions, Ledger.read_to_change(self._directory, name).last]) + 1
        target = self._directory / name / str(version)
        commit.make()
        target.parent.mkdir(exist_ok=True)
        folder.rename(target)
        synchronise_folder(target.parent)
        synchronise_folder(self._directory)
        return AddedModel(name, version, report, is_new=True)

    def _is_declared_alike(self, folder: Path, name: str, version: int) -> bool:
        return _text(folder / FILE_NAME) == _text(self._directory / name / str(version) / FILE_NAME)

    def _share(self, folder: Path, stored: str) -> None:
        """Replace the model file by a hard link to an equal one in the store, if there is one."""
        (own,) = (path for path in folder.iterdir() if path.suffix in SUFFIXES)
        for other in self._uploaded():
            twin = other / own.name
            if _record(other).get("stored") == stored and twin.is_file():
                shared = folder / "shared"
                # Some file systems have no hard links, and every one limits their number: then the file is kept as it is.
                with suppress(OSError):
                    os.link(twin, shared)
                    shared.replace(own)
                    synchronise_folder(folder)
                    return

    def _versions(self, name: str) -> dict[int, dict[str, object]]:
        """Every version of a model, with the record of those that were uploaded."""
        folders = [path for path in (self._directory / name).glob("[1-9]*") if path.name.isdecimal()]
        found = {int(path.name): _record(path) for path in folders}
        if any((self._directory / f"{name}{suffix}").is_file() for suffix in SUFFIXES):
            found.setdefault(1, {})
        return found

    def _uploaded(self) -> list[Path]:
        """The folders of the versions that were uploaded."""
        return [path.parent for path in self._directory.glob(f"[!.]*/*/{RECORD}")]


def require_model_name(name: str) -> None:
    """Check the name of a model.

    Raises:
        OptionInvalid: a model cannot have that name.
    """
    if not is_model_name(name):
        raise OptionInvalid(
            f"A model cannot be called {name[:80]!r}: use small letters, digits, dots, dashes and underscores.",
            option="name",
        )


def _is_left(folder: Path) -> bool:
    """Whether no process holds the lock of a folder."""
    try:
        os.close(lock_folder(folder, fcntl.LOCK_EX | fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _discard(folder: Path) -> None:
    """Delete a folder. A child of the killed process may still write into it: after the rename it finds no folder there."""
    with suppress(OSError):
        shutil.rmtree(folder.rename(folder.with_name(f"{folder.name}-left")))


def _record(folder: Path) -> dict[str, object]:
    try:
        record = json.loads(read_record(folder / RECORD))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _text(path: Path) -> str | None:
    with suppress(OSError, ValueError):
        return read_record(path).decode("utf-8")
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256-{hashlib.file_digest(file, 'sha256').hexdigest()}"
