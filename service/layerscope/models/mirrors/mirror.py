"""The mirror of a remote place in a directory of models: whole versions only, and only changed files are fetched.

    DIR/<name>/<version>       a link to the files of a version as they are now
    DIR/.fetched/<random>/     the files of a version, never changed, and beside them `fetched.json` with their digests
    DIR/.incoming/<random>/    files on their way in; the next refresh deletes what a killed process left there

A version changes when its link is replaced by one to other files, by an atomic rename. A reader resolves the link once and
opens the files it led to then, so it never mixes files of two states; they are kept for `KEPT_SECONDS` after the change. One
process at a time refreshes the directory.
"""

import errno
import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from layerscope.errors import LayerscopeError, ModelRefused, SourceUnreachable, StorageFull
from layerscope.limits import Limits
from layerscope.models.directory import FETCHED, Key, is_model_name, is_version
from layerscope.models.durable import storing, synchronise_folder, write_durably
from layerscope.models.mirrors.fetched import Fetched
from layerscope.models.mirrors.places import Files, Place
from layerscope.models.mirrors.transfer import Bounds, fetch

logger = logging.getLogger(__name__)

_ERRORS_OF_NAMES = frozenset({errno.EEXIST, errno.EISDIR, errno.ENOENT, errno.ENOTDIR})

KEPT_SECONDS = 600


class Mirror:
    """The mirror of a place. Safe to use from many threads and processes.

    Args:
        place: the remote place.
        directory: where the mirror is; it is created if it does not exist.
        limits: `model_file_bytes` bounds all files of a version, `model_store_bytes` those of all versions.

    Raises:
        StorageFull, ControlRefused: see `storing`.
    """

    def __init__(self, place: Place, directory: Path, limits: Limits) -> None:
        self.directory = directory
        self.place = place
        self._limits = limits
        self._kept = directory / ".fetched"
        self._incoming = directory / ".incoming"
        with storing():
            self._kept.mkdir(parents=True, exist_ok=True)

    def refresh(self, is_cancelled: Callable[[], bool] = lambda: False) -> Mapping[Key, LayerscopeError]:
        """Bring the directory up to date.

        Args:
            is_cancelled: whether to stop, because the service ends.

        Returns:
            The versions that could not be fetched, with the reason. They are as they were before.

        Raises:
            SourceUnreachable: the place cannot be read; versions that were not fetched until then are as they were.
            Draining: it was cancelled.
            StorageFull, ControlRefused: see `storing`.
        """
        with storing(), self._exclusive():
            self._sweep()
            there = self.place.versions()
            refused: dict[Key, LayerscopeError] = {}
            room = self._limits.model_store_bytes
            for key, files in there.items():
                bounds = Bounds(version=self._limits.model_file_bytes, room=room, is_cancelled=is_cancelled)
                try:
                    room -= self._fetch(key, files, bounds)
                except (ModelRefused, StorageFull) as error:
                    logger.warning("%s@%d of %s is not fetched: %s", *key, self.place.name, error.message)
                    refused[key] = error
            for key, link in self._links():
                if key not in there:
                    self._start_grace(link)
                    link.unlink()
            return refused

    def _fetch(self, key: Key, files: Files, bounds: Bounds) -> int:
        """Make a version equal to that of the place; its size in bytes."""
        link = self.directory / key[0] / str(key[1])
        here = Path(os.path.realpath(link))
        known = Fetched.read(here)
        if not known.is_whole(here):
            known = Fetched()
        if known.is_of(files):
            return known.size
        with _storable(key, self._incoming), tempfile.TemporaryDirectory(dir=self._incoming) as arriving:
            folder = Path(arriving) / f"{key[0]}-{key[1]}-{time.time_ns()}"
            fetched = fetch(self.place, files, folder, bounds, known, here)
            if fetched.has_equal_content(known):
                write_durably(here / FETCHED, fetched.model_dump_json())
            else:
                write_durably(folder / FETCHED, fetched.model_dump_json())
                self._relink(link, folder)
        return fetched.size

    def _relink(self, link: Path, folder: Path) -> None:
        """Let the link of a version point at files that were fetched."""
        link.parent.mkdir(exist_ok=True)
        kept, new = self._kept / folder.name, folder.with_name("link")
        folder.rename(kept)
        synchronise_folder(self._kept)
        new.symlink_to(os.path.relpath(kept, link.parent))
        self._start_grace(link)
        new.replace(link)
        synchronise_folder(link.parent)

    def _start_grace(self, link: Path) -> None:
        """Begin the time in which the files of a version are still kept, because a process may be opening them."""
        with suppress(OSError):
            os.utime(link)

    def _links(self) -> Iterator[tuple[Key, Path]]:
        for folder in self.directory.iterdir():
            for link in folder.iterdir() if is_model_name(folder.name) and folder.is_dir() else ():
                if link.is_symlink() and is_version(link.name):
                    yield (folder.name, int(link.name)), link

    def _sweep(self) -> None:
        """Delete files that no version has used for `KEPT_SECONDS`, and what a killed process left."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(exist_ok=True)
        used = {os.path.realpath(link) for _, link in self._links()}
        for folder in self._kept.iterdir():
            is_old = time.time() - folder.stat().st_mtime > KEPT_SECONDS
            if is_old and os.path.realpath(folder) not in used:
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Exclude all other threads and processes. The lock ends with its process, even if that is killed."""
        descriptor = os.open(self._kept, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def _storable(key: Key, incoming: Path) -> Iterator[None]:
    """Turn a file name that the disk refuses into an error of its version, and not of the whole refresh.

    Raises:
        ModelRefused: a file has such a name.
        SourceUnreachable, StorageFull, ControlRefused: see `storing`.
    """
    try:
        with storing():
            yield
    except SourceUnreachable as error:
        # A name that is taken, or whose folder is a file, looks like a folder that is gone: the folder itself tells which.
        is_name = isinstance(error.__cause__, OSError) and error.__cause__.errno in _ERRORS_OF_NAMES
        if not (is_name and incoming.is_dir()):
            raise
        raise ModelRefused(f"A file of {key[0]}@{key[1]} cannot be stored under its name.") from error
    except (OSError, ValueError) as error:
        raise ModelRefused(f"A file of {key[0]}@{key[1]} cannot be stored under its name.") from error
