"""Uploaded images that several processes have in common."""

import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from layerscope.errors import ImageNotFound
from layerscope.images.store import ENTRY_BYTES, ImageStore, StoredImage
from layerscope.limits import Limits

_ID = re.compile(r"sha256-[0-9a-f]{64}")
_LOOKS = 64
"""How often the directory is looked through while as much is stored as it may hold."""


class SharedImageStore(ImageStore):
    """Image files in a directory, where other processes find them by the same id. Safe to use from many threads.

    A file there is the image, and its time that of its last use; what is in memory besides is only quicker.

    Args:
        directory: of all processes that share the images; it is made if it is not there.
        limits: those of `ImageStore`, in memory and once more for the files.
        clock: seconds since 1970.
    """

    def __init__(self, directory: Path, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        super().__init__(limits, clock)
        self._directory = directory
        self._most_bytes = limits.image_store_bytes
        self._seconds = limits.image_store_seconds
        self._now = clock
        self._grown = 0
        directory.mkdir(exist_ok=True)

    def put(self, data: bytes) -> tuple[StoredImage, bool]:
        """Keep an image for all processes; see `ImageStore.put`."""
        stored, _ = super().put(data)
        path = self._directory / stored.id
        if self._renew(path):
            return stored, False
        if not self._created(path, data):
            return stored, False
        self._grown += len(data) + ENTRY_BYTES
        if self._grown > self._most_bytes // _LOOKS:
            self._grown = 0
            self._make_room()
        return stored, True

    def get(self, image_id: str) -> StoredImage:
        """An image that any of the processes was sent; see `ImageStore.get`."""
        path = self._directory / image_id
        if not _ID.fullmatch(image_id) or not self._renew(path):
            return self._gone(image_id)
        try:
            return super().get(image_id)
        except ImageNotFound:
            with suppress(FileNotFoundError):
                return super().put(path.read_bytes())[0]
            return self._gone(image_id)

    def delete(self, image_id: str) -> None:
        """Forget an image in all processes; see `ImageStore.delete`."""
        path = self._directory / image_id
        if not _ID.fullmatch(image_id) or not path.exists():
            self._gone(image_id)
        path.unlink(missing_ok=True)
        with suppress(ImageNotFound):
            super().delete(image_id)

    def _gone(self, image_id: str) -> StoredImage:
        """Another process may have let it go: then it is in memory here still."""
        with suppress(ImageNotFound):
            super().delete(image_id)
        return super().get(image_id)

    def _created(self, path: Path, data: bytes) -> bool:
        """Have a file there, whole at once; whether it was not there before."""
        written = self._directory / f".{secrets.token_hex(8)}"
        written.write_bytes(data)
        os.utime(written, (self._now(), self._now()))
        try:
            os.link(written, path)
        except FileExistsError:
            return False
        finally:
            written.unlink()
        return True

    def _renew(self, path: Path) -> bool:
        """Let the time of an image begin again, unless it is over."""
        now = self._now()
        try:
            if path.stat().st_mtime + self._seconds <= now:
                path.unlink(missing_ok=True)
                return False
            os.utime(path, (now, now))
        except FileNotFoundError:
            return False
        return True

    def _make_room(self) -> None:
        taken = 0
        for used, size, path in sorted(self._files(), reverse=True):
            taken += size + ENTRY_BYTES
            if taken > self._most_bytes or used + self._seconds <= self._now():
                path.unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """When each image was used last, its size, and its file; not those that are being written."""
        for path in self._directory.glob("[!.]*"):
            with suppress(FileNotFoundError):
                status = path.stat()
                yield status.st_mtime, status.st_size, path
