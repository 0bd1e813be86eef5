"""Store of uploaded images that services on several machines share, in a bucket."""

import dataclasses
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from cachetools import TTLCache

from layerscope.errors import ImageNotFound
from layerscope.images.store import IMAGE_ID, ImageStore, StoredImage
from layerscope.limits import Limits

_BELIEVED_SECONDS = 10.0
"""For so long an image is not looked for again: one that was deleted elsewhere may be found until then."""

_MOST_BELIEVED = 4_096

_RENEWALS = 10
"""An image in use is written anew after this fraction of the time that it is kept for: a bucket keeps no time of last use."""


class Objects(Protocol):
    """The objects of a bucket. Every method but `write` raises FileNotFoundError where there is none."""

    def written(self, name: str) -> float:
        """When an object was written, in seconds since 1970."""

    def read(self, name: str) -> bytes:
        """The content of an object."""

    def write(self, name: str, data: bytes) -> None:
        """Write an object, in place of what there was."""

    def delete(self, name: str) -> None:
        """Delete an object."""


class ObjectImageStore(ImageStore):
    """Image files in a bucket, where other services find them by id. Safe to use from many threads.

    The name of an object is the id of the image, so that writing it twice changes nothing but its time. The images in memory
    are a cache of the objects. Nothing bounds their number: the bucket's own rules must delete what has expired.

    Args:
        objects: The bucket.
        limits: As for `ImageStore`. `image_store_bytes` bounds the memory of each process only.
        clock: The current time in seconds since 1970; that of the bucket must be about the same.
    """

    def __init__(self, objects: Objects, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        super().__init__(limits, clock)
        self._objects = objects
        self._seconds = limits.image_store_seconds
        self._now = clock
        self._written_at: TTLCache[str, float] = TTLCache(_MOST_BELIEVED, _BELIEVED_SECONDS, clock)
        self._taking_over = threading.Lock()

    def put(self, data: bytes) -> tuple[StoredImage, bool]:
        """Store an image for all services; see `ImageStore.put`.

        Raises:
            SourceUnreachable: the bucket cannot be written to.
        """
        stored, _ = super().put(data)
        written = self._written(stored.id)
        return self._renewed_object(stored, written), written is None

    def get(self, image_id: str) -> StoredImage:
        """Return an image that any of the services stored; see `ImageStore.get`.

        Raises:
            SourceUnreachable: the bucket cannot be read.
        """
        written = self._written(image_id) if IMAGE_ID.fullmatch(image_id) else None
        if written is None:
            return self._raise_not_found(image_id)
        try:
            stored = super().get(image_id)
        except ImageNotFound:
            stored = self._taken_over(image_id)
        return self._renewed_object(stored, written)

    def delete(self, image_id: str) -> None:
        """Delete an image for all services; see `ImageStore.delete`.

        Raises:
            SourceUnreachable: the bucket cannot be written to.
        """
        if not IMAGE_ID.fullmatch(image_id) or self._written(image_id) is None:
            self._raise_not_found(image_id)
        with suppress(FileNotFoundError):
            self._objects.delete(image_id)
        self._forget(image_id)

    def _written(self, image_id: str) -> float | None:
        """When an image was written, a few seconds ago at most as far as is known; None if it is not there or has expired."""
        with self._lock:
            written = self._written_at.get(image_id)
        if written is None:
            with suppress(FileNotFoundError):
                written = self._objects.written(image_id)
        if written is None or written + self._seconds <= self._now():
            return None
        self._believe(image_id, written)
        return written

    def _believe(self, image_id: str, written: float) -> None:
        with self._lock:
            if self._written_at.get(image_id) != written:
                self._written_at[image_id] = written

    def _taken_over(self, image_id: str) -> StoredImage:
        """An image that another service stored, decoded once more, one at a time: no memory is reserved for it."""
        with self._taking_over:
            try:
                data = self._objects.read(image_id)
            except FileNotFoundError:
                return self._raise_not_found(image_id)
            stored, _ = super().put(data)
        if stored.id != image_id:
            # Somebody else wrote something else there.
            return self._raise_not_found(image_id)
        return stored

    def _renewed_object(self, stored: StoredImage, written: float | None) -> StoredImage:
        """Write an image that is not there, or was written some time ago; the image, with the time when it expires."""
        if written is None or self._now() - written > self._seconds / _RENEWALS:
            self._objects.write(stored.id, stored.data)
            written = self._now()
            self._believe(stored.id, written)
        return dataclasses.replace(stored, expires=datetime.fromtimestamp(written + self._seconds, UTC))

    def _raise_not_found(self, image_id: str) -> StoredImage:
        """Forget an image that is in the bucket no more, and raise ImageNotFound."""
        self._forget(image_id)
        return super().get(image_id)

    def _forget(self, image_id: str) -> None:
        with self._lock:
            self._written_at.pop(image_id, None)
        with suppress(ImageNotFound):
            super().delete(image_id)
