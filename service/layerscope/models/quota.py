"""The quota of a store of models: what is stored, and what each upload in progress takes, claimed before it is written.

    DIR/.incoming/<random>/came       what has come of an upload
    DIR/.incoming/<random>/claimed    a sparse file as long as the largest file that unpacking it will write

This module imports little: the process that checks a file claims room, too, once it knows how much it will unpack.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from layerscope.errors import StorageFull

INCOMING = ".incoming"
CAME, CLAIMED = "came", "claimed"


@dataclass(frozen=True)
class Quota:
    """The quota of a directory of models.

    Attributes:
        directory: the directory.
        record: the name of the record beside each stored model.
        limit: the bytes that stored models and uploads in progress may take together.
    """

    directory: str
    record: str
    limit: int

    def claim(self, folder: Path, size: int) -> None:
        """Claim room for an upload in progress, in place of what it has claimed before if that is less.

        Args:
            folder: a folder under `.incoming`, which ends with the upload.
            size: the length of the largest file that will be written for it.

        Raises:
            StorageFull: there is no room; nothing has changed.
        """
        with self.locked():
            before = _claim(folder)
            if size > before:
                self.require_room(size - before)
                claimed = folder / CLAIMED
                claimed.touch()
                os.truncate(claimed, size)

    def resize(self, came: Path, size: int) -> None:
        """Let a file that is being received have so many bytes, which no other upload can have then.

        Raises:
            StorageFull: there is no room; nothing has changed.
        """
        with self.locked():
            self.require_room(size - _claim(came.parent))
            os.truncate(came, size)

    def require_room(self, more: int) -> None:
        """Check that there is room for so many bytes more.

        Raises:
            StorageFull: there is not.
        """
        taken = size_of(self._stored()) + sum(map(_claim, self._incoming.iterdir())) + more
        if taken > self.limit:
            raise StorageFull(
                f"With this one the accepted models would take {taken:,} bytes, and may take {self.limit:,}: remove"
                " one of them.",
                size=taken,
                limit=self.limit,
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude all other threads and processes. The lock ends with its process, even if that is killed."""
        lock = lock_folder(self._incoming)
        try:
            yield
        finally:
            os.close(lock)

    @property
    def _incoming(self) -> Path:
        return Path(self.directory, INCOMING)

    def _stored(self) -> Iterator[Path]:
        for record in Path(self.directory).glob(f"[!.]*/*/{self.record}"):
            yield from record.parent.iterdir()


@dataclass(frozen=True)
class Claim:
    """The claim of one upload, in its folder under `.incoming`."""

    quota: Quota
    folder: str

    def __call__(self, size: int) -> None:
        """See `Quota.claim`."""
        self.quota.claim(Path(self.folder), size)


def lock_folder(folder: Path, how: int = fcntl.LOCK_EX) -> int:
    """Lock a folder until the descriptor is closed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def size_of(files: Iterable[Path]) -> int:
    """The size of all files together, in bytes. A file with several hard links counts once."""
    sizes: dict[tuple[int, int], int] = {}
    for path in files:
        with suppress(OSError):
            status = path.stat()
            if path.is_file():
                sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())


def _claim(folder: Path) -> int:
    """What an upload in progress takes: the larger of what came and what is unpacked from it."""
    came = size_of(folder / f"{CAME}{suffix}" for suffix in ("", ".keras", ".h5", ".hdf5"))
    return max(came, size_of([folder / CLAIMED]))
