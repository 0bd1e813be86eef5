"""Store of uploaded images in memory, bounded in bytes and in time since their last use."""

import dataclasses
import hashlib
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from cachetools import TTLCache

from layerscope.errors import ImageNotFound, StorageFull
from layerscope.images.decode import decode
from layerscope.images.headers import Format
from layerscope.images.npy import is_npy, read_npy
from layerscope.limits import Limits
from layerscope.text import decoded, is_text, require_short

ENTRY_BYTES = 1_024
"""Memory of an entry besides its data, added to the size of each image so that many tiny images are bounded, too."""

IMAGE_ID = re.compile(r"sha256-[0-9a-f]{64}")
"""The id of an image: a name for a file or an object, which no other text may become."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image file in the store, a tensor as a .npy file, or an encoded text.

    Attributes:
        id: "sha256-" and the digest of the data, in hexadecimal.
        data: The file as it was uploaded.
        width: Pixels across, after orientation; None for a tensor and a text, as for the next two.
        height: Pixels down, after orientation.
        mode: Pillow's name of the pixel type in the file.
        format: The container, decided by content; "npy" for a tensor, "text" for a text.
        orientation_applied: The EXIF orientation (1 to 8) that decoding undoes; 1 is none.
        expires: The time, in UTC, at which it is deleted unless it is used before.
        notes: Every conversion that decoding makes, in words.
    """

    id: str
    data: bytes = dataclasses.field(repr=False)
    width: int | None
    height: int | None
    mode: str | None
    format: Format | Literal["npy", "text"]
    orientation_applied: int
    expires: datetime
    notes: tuple[str, ...]


class ImageStore:
    """Image files by the digest of their content. Safe to use from many threads.

    When the store is full, the least recently used images are evicted.

    Args:
        limits: `image_store_bytes` bounds the data plus 1 KiB per image, `image_store_seconds` the time since the last
            use; the other limits are those of `decode`.
        clock: The current time in seconds since 1970.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._images: TTLCache[str, StoredImage] = TTLCache(
            limits.image_store_bytes, limits.image_store_seconds, clock, lambda image: _cost(image.data)
        )

    def put(self, data: bytes) -> tuple[StoredImage, bool]:
        """Store an image, a tensor or a text. It is decoded once before, so that what is stored can always be decoded.

        Returns:
            The stored image, and whether it is new. The same bytes again renew the time of the stored image.

        Raises:
            StorageFull: The image alone is larger than the store.
            LayerscopeError: It cannot be decoded, see `decode`, `read_npy` and `layerscope.text.decoded`.
        """
        image_id = content_id(data)
        stored = self._renewed(image_id)
        if stored is not None:
            return stored, False
        self._check_size(data)
        stored = self._describe(image_id, data)
        with self._lock:
            created = image_id not in self._images
            self._images[image_id] = stored
        return stored, created

    def get(self, image_id: str) -> StoredImage:
        """Return an image and renew its time.

        Raises:
            ImageNotFound: The image was never stored, or is expired, evicted or deleted.
        """
        stored = self._renewed(image_id)
        if stored is None:
            raise _not_found(image_id)
        return stored

    def delete(self, image_id: str) -> None:
        """Delete an image.

        Raises:
            ImageNotFound: The image was never stored, or is expired, evicted or deleted.
        """
        with self._lock:
            if self._images.pop(image_id, None) is None:
                raise _not_found(image_id)

    def _renewed(self, image_id: str) -> StoredImage | None:
        with self._lock:
            stored = self._images.get(image_id)
            if stored is not None:
                stored = dataclasses.replace(stored, expires=self._expiry())
                self._images[image_id] = stored
            return stored

    def _describe(self, image_id: str, data: bytes) -> StoredImage:
        if is_text(data):
            require_short(len(data), self._limits)
            decoded(data)
            return StoredImage(image_id, data, None, None, None, "text", 1, self._expiry(), ())
        if is_npy(data):
            read_npy(data, self._limits)
            return StoredImage(image_id, data, None, None, None, "npy", 1, self._expiry(), ())
        image = decode(data, self._limits)
        return StoredImage(
            image_id,
            data,
            image.width,
            image.height,
            image.mode,
            image.format,
            image.orientation_applied,
            self._expiry(),
            image.notes,
        )

    def _check_size(self, data: bytes) -> None:
        limit = self._limits.image_store_bytes
        if _cost(data) > limit:
            message = f"The image takes {_cost(data)} bytes of the store, which has {limit} in all."
            raise StorageFull(message, bytes=_cost(data), limit=limit)

    def _expiry(self) -> datetime:
        return datetime.fromtimestamp(self._clock() + self._limits.image_store_seconds, UTC)


def content_id(data: bytes | memoryview) -> str:
    """The id of an image file, of an encoded text, or of the values of a tensor."""
    return f"sha256-{hashlib.sha256(data).hexdigest()}"


def _cost(data: bytes) -> int:
    return len(data) + ENTRY_BYTES


def _not_found(image_id: str) -> ImageNotFound:
    message = (
        f"No image {image_id[:80]!r} is stored: it was never sent, has expired or made way. Send it again."
    )
    return ImageNotFound(message, image=image_id[:80])
