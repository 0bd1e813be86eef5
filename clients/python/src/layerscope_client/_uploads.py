"""Uploads: each image file is uploaded once and named by its id from then on, until the service has deleted it."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import httpx2

from layerscope_client._flows import Flow, Request, fetch, fetch_json
from layerscope_client._images import ImageFile, StoredId
from layerscope_client._results import StoredImage
from layerscope_client.errors import ImageNotFound

MAX_REMEMBERED = 1_024
"""Most uploads that a client remembers; the least recently used ones are forgotten."""


class Uploads:
    """The ids of uploaded image files, by digest. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: OrderedDict[bytes, StoredId] = OrderedDict()

    def upload(self, image: ImageFile) -> Flow[StoredImage]:
        """Upload an image file, even if it was uploaded before."""
        headers = {"Content-Type": image.content_type}
        stored = StoredImage.of(
            (yield from fetch_json(Request("POST", "/v1/images", (), headers, image.data)))
        )
        self._remember(image.digest, stored.id)
        return stored

    def use(
        self, images: Sequence[ImageFile | StoredId], request: Callable[[list[StoredId]], Request]
    ) -> Flow[httpx2.Response]:
        """Make a request that names images by id. Files are uploaded before, if the service does not have them.

        Args:
            images: Files, or the ids of stored images.
            request: Makes the request from the ids.

        Raises:
            ImageNotFound: An image that was given by its id is not stored.
        """
        try:
            return (yield from self._fetch(images, request))
        except ImageNotFound:
            files = [image for image in images if isinstance(image, ImageFile)]
            if not files:
                raise
            for image in files:
                self._forget_digest(image.digest)
        return (yield from self._fetch(images, request))

    def forget(self, image_id: StoredId) -> None:
        """Forget that an image was uploaded."""
        with self._lock:
            for digest in [digest for digest, known in self._ids.items() if known == image_id]:
                del self._ids[digest]

    def _fetch(
        self, images: Sequence[ImageFile | StoredId], request: Callable[[list[StoredId]], Request]
    ) -> Flow[httpx2.Response]:
        ids = yield from self._ids_of(images)
        return (yield from fetch(request(ids)))

    def _ids_of(self, images: Sequence[ImageFile | StoredId]) -> Flow[list[StoredId]]:
        ids = []
        for image in images:
            if isinstance(image, ImageFile):
                ids.append(self._known(image.digest) or (yield from self.upload(image)).id)
            else:
                ids.append(image)
        return ids

    def _known(self, digest: bytes) -> StoredId | None:
        with self._lock:
            known = self._ids.get(digest)
            if known is not None:
                self._ids.move_to_end(digest)
            return known

    def _remember(self, digest: bytes, image_id: StoredId) -> None:
        with self._lock:
            self._ids[digest] = image_id
            self._ids.move_to_end(digest)
            if len(self._ids) > MAX_REMEMBERED:
                self._ids.popitem(last=False)

    def _forget_digest(self, digest: bytes) -> None:
        with self._lock:
            self._ids.pop(digest, None)
