"""Store of uploaded images that several processes share, in a directory."""

import errno
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from layerscope.errors import ImageNotFound, StorageFull
from layerscope.images.store import ENTRY_BYTES, IMAGE_ID, ImageStore, StoredImage
from layerscope.limits import Limits

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SCANS_PER_FILL = 64
"""Number of scans of the directory while it takes in as many bytes as it may hold: a scan for every image would be slow."""


class SharedImageStore(ImageStore):
    """Image files in a directory, where other processes find them by id. Safe to use from many threads.

    The name of a file is the id of the image, and its modification time is the time of its last use. The images in
    memory are a cache of the files.

    Args:
        directory: The directory of all processes that share the images; created if it does not exist.
        limits: As for `ImageStore`. The bytes are bounded twice: in the memory of each process, and in the directory.
        clock: The current time in seconds since 1970.
    """

    def __init__(self, directory: Path, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        super().__init__(limits, clock)
        self._directory = directory
        self._most_bytes = limits.image_store_bytes
        self._seconds = limits.image_store_seconds
        self._now = clock
        self._grown = 0
        self._taking_over = threading.Lock()
        directory.mkdir(exist_ok=True)

    def put(self, data: bytes) -> tuple[StoredImage, bool]:
        """Store an image for all processes; see `ImageStore.put`.

        Raises:
            StorageFull: there is no room on the disk of the directory.
        """
        stored, _ = super().put(data)
        path = self._directory / stored.id
        if self._renew(path):
            return stored, False
        try:
            is_new = self._created(path, data)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            with suppress(ImageNotFound):
                super().delete(stored.id)
            raise StorageFull("There is no room left on the disk for stored images.") from error
        if not is_new:
            return stored, False
        self._grown += len(data) + ENTRY_BYTES
        if self._grown > self._most_bytes // _SCANS_PER_FILL:
            self._grown = 0
            self._evict()
        return stored, True

    def get(self, image_id: str) -> StoredImage:
        """Return an image that any of the processes stored; see `ImageStore.get`."""
        path = self._directory / image_id
        if not IMAGE_ID.fullmatch(image_id) or not self._renew(path):
            return self._raise_not_found(image_id)
        try:
            return super().get(image_id)
        except ImageNotFound:
            # One at a time: an image that another process stored is decoded once more, for which no memory is reserved.
            with self._taking_over, suppress(FileNotFoundError):
                return super().put(path.read_bytes())[0]
            return self._raise_not_found(image_id)

    def delete(self, image_id: str) -> None:
        """Delete an image in all processes; see `ImageStore.delete`."""
        path = self._directory / image_id
        if not IMAGE_ID.fullmatch(image_id) or not path.exists():
            self._raise_not_found(image_id)
        path.unlink(missing_ok=True)
        with suppress(ImageNotFound):
            super().delete(image_id)

    def _raise_not_found(self, image_id: str) -> StoredImage:
        """Remove the cached copy of an image whose file another process deleted, and raise ImageNotFound."""
        with suppress(ImageNotFound):
            super().delete(image_id)
        return super().get(image_id)

    def _created(self, path: Path, data: bytes) -> bool:
        """Create a file with all its content at once, so that no process reads half of it.

        Returns:
            Whether the file is new; False if another process created it first.
        """
        # What cleans temporary folders may have removed it.
        self._directory.mkdir(parents=True, exist_ok=True)
        written = self._directory / f".{secrets.token_hex(8)}"
        try:
            written.write_bytes(data)
            os.utime(written, (self._now(), self._now()))
            os.link(written, path)
        except FileExistsError:
            return False
        finally:
            written.unlink(missing_ok=True)
        return True

    def _renew(self, path: Path) -> bool:
        """Set the time of last use to now, unless the image has expired or does not exist; True if it is set."""
        now = self._now()
        try:
            if path.stat().st_mtime + self._seconds <= now:
                path.unlink(missing_ok=True)
                return False
            os.utime(path, (now, now))
        except FileNotFoundError:
            return False
        return True

    def _evict(self) -> None:
        """Delete expired files, and the least recently used ones beyond the bound."""
        taken = 0
        for used, size, path in sorted(self._files(), reverse=True):
            taken += size + ENTRY_BYTES
            if taken > self._most_bytes or used + self._seconds <= self._now():
                path.unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Time of last use, size and path of every image file, without files that are still being written (hidden ones)."""
        for path in self._directory.glob("[!.]*"):
            with suppress(FileNotFoundError):
                status = path.stat()
                yield status.st_mtime, status.st_size, path
