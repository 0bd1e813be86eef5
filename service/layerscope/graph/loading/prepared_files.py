"""Prepared files: opened models on the disk, for the other workers, the next start and other services of the same user.

    DIR/<digest>.prepared     a prepared model, see `prepared_model`, and behind it the SHA-256 of all that
    DIR/lock-<n>              whoever opens a model, or looks for it, holds the lock of its digest
    DIR/new-<n>               what the holder of the lock is writing

A file is named by what it was made of: the files of the model and the software that opened it. One that does not fit is not
found, and made again. It is data and read as such, but it decides what a model computes: DIR belongs to the user of the
service, and nobody else may write there.
"""

import fcntl
import hashlib
import json
import logging
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import BinaryIO

import keras

import layerscope
from layerscope.errors import LayerscopeError
from layerscope.graph.prepared.devices import computed_with
from layerscope.graph.prepared.prepared_model import PreparedModel, read
from layerscope.models.directory import ModelSource, require_readable
from layerscope.models.durable import synchronise_folder
from layerscope.models.model_files import ModelFiles

logger = logging.getLogger(__name__)

_SUFFIX = ".prepared"
_LOCKS = 16
_LOOK_SECONDS = 0.05
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class PreparedFiles:
    """The prepared models in a folder; those unused for longest make way for new ones. Safe to use from many processes.

    Attributes:
        folder: where they are; it is created if it does not exist. Models are opened as without it if it cannot be used.
        most_bytes: how long all files may be together. A longer model is not kept.
        seconds: how long to wait for another process that opens the same model.
    """

    folder: Path
    most_bytes: int
    seconds: float

    def load(self, source: ModelSource, open_model: Callable[[], PreparedModel]) -> PreparedModel:
        """A prepared model from its file, or else from `open_model`, and kept. One process at a time opens it.

        A model whose code runs when it is opened is not kept: what the code reads or imports may change.

        Args:
            source: the model.
            open_model: prepares it; what it raises is raised.
        """
        name = _name(source)
        if name is None:
            return open_model()
        with self._locked(name) as written:
            if written is None:
                return open_model()
            return self._found(name) or self._kept(name, written, source, open_model())

    @contextmanager
    def _locked(self, name: str) -> Iterator[Path | None]:
        """Exclude other processes that look for the same model; the file to write it to, None if the folder cannot be used."""
        number = int(name[:8], 16) % _LOCKS
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _require_own(self.folder)
            lock = os.open(self.folder / f"lock-{number}", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            logger.warning("opened models are not kept: %s", error)
            yield None
            return
        try:
            yield self.folder / f"new-{number}" if _taken(lock, self.seconds) else None
        finally:
            os.close(lock)

    def _found(self, name: str) -> PreparedModel | None:
        path = self.folder / f"{name}{_SUFFIX}"
        try:
            with path.open("rb") as file:
                if _is_whole(file):
                    _touch(path)
                    return read(file, is_writable=False)
            logger.warning("%s is damaged, and made again", path.name)
        except FileNotFoundError:
            pass
        except OSError as error:
            logger.warning("an opened model cannot be read: %s", error)
        return None

    def _kept(self, name: str, written: Path, source: ModelSource, made: PreparedModel) -> PreparedModel:
        """Write a model that was opened: from its file, where other processes share its pages, if that is possible."""
        size = os.fstat(made.descriptor).st_size + _DIGEST_BYTES
        # The files of the model may have changed since they were looked at.
        if size > self.most_bytes or _name(source) != name:
            return made
        try:
            _write(made, written)
            _touch(written)
            written.replace(self.folder / f"{name}{_SUFFIX}")
            synchronise_folder(self.folder)
            self._make_way()
        except OSError as error:
            logger.warning("an opened model is not kept: %s", error)
            with suppress(OSError):
                written.unlink()
        return self._found(name) or made

    def _make_way(self) -> None:
        files = {path: path.stat() for path in self.folder.glob(f"*{_SUFFIX}")}
        total = sum(each.st_size for each in files.values())
        for path in sorted(files, key=lambda each: files[each].st_mtime_ns):
            if total <= self.most_bytes:
                return
            path.unlink(missing_ok=True)
            total -= files[path].st_size


def _name(source: ModelSource) -> str | None:
    """The digest of all that a prepared model is made of; None for one that is not kept, or not even readable."""
    try:
        require_readable(source)
        files = ModelFiles.of(source)
    except (LayerscopeError, OSError):
        # Opening it says what is wrong.
        return None
    if files.runs_code:
        return None
    opened_how = source.trusted, source.signature, source.bounds
    return hashlib.sha256(repr((files.digest, opened_how, _software())).encode()).hexdigest()


@cache
def _software() -> str:
    """All software, with its settings, on which a prepared model depends."""
    settings = keras.config
    values = settings.backend(), settings.floatx(), settings.epsilon(), settings.image_data_format()
    try:
        keras_2 = version("tf-keras")
    except PackageNotFoundError:
        keras_2 = None
    return json.dumps([computed_with(), keras_2, values, _own_code()])


def _own_code() -> str:
    """A digest of the engine's own modules: a change of any may change what is prepared."""
    digest = hashlib.sha256()
    root = Path(layerscope.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _require_own(folder: Path) -> None:
    status = folder.stat()
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(
            f"{folder} belongs to another user, or others may write there: choose another models_cache"
        )


def _touch(path: Path) -> None:
    """Make a file the most recently used one. The system's own stamps are too coarse to tell two in a row apart."""
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def _taken(lock: int, seconds: float) -> bool:
    """Wait for a lock; whether it was given back in time. Its holder may be stopped."""
    end = time.monotonic() + seconds
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() > end:
            return False
        time.sleep(_LOOK_SECONDS)


def _write(made: PreparedModel, path: Path) -> None:
    path.unlink(missing_ok=True)
    with (
        os.fdopen(os.dup(made.descriptor), "rb") as source,
        os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
    ):
        source.seek(0)
        digest = hashlib.file_digest(source, "sha256").digest()
        source.seek(0)
        shutil.copyfileobj(source, file, 1 << 20)
        file.write(digest)
        file.flush()
        os.fsync(file.fileno())


def _is_whole(file: BinaryIO) -> bool:
    """Whether a file is as it was written, whatever has happened to the disk since."""
    size = os.fstat(file.fileno()).st_size - _DIGEST_BYTES
    digest = hashlib.sha256()
    while (rest := size - file.tell()) > 0 and (part := file.read(min(rest, 1 << 20))):
        digest.update(part)
    return size >= 0 and file.read() == digest.digest()
