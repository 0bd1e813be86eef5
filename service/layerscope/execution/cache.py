"""The activation cache: one entry for each image and tap, shared by all requests, also while it is computed.

Entries are single images and not batches, so that a request finds what another request computed in another batch.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from typing import Any, Generic, TypeVar

import numpy as np
from cachetools import LRUCache

Array = np.ndarray[Any, np.dtype[Any]]
Key = TypeVar("Key")

_BYTES_PER_ENTRY = 256
"""The memory of a key, an array object and their places in dictionaries."""


class ActivationCache(Generic[Key]):
    """Arrays by key, bounded in bytes; the least recently used are evicted. Safe to use from many threads.

    The first request for a key computes it; requests that come meanwhile wait for that (*single flight*), so that ten
    simultaneous requests for one image run the model once. Arrays of the cache are read-only, because requests share them.
    """

    def __init__(self, most_bytes: int) -> None:
        self._kept: LRUCache[Key, Array] = LRUCache(most_bytes, getsizeof=_cost)
        self._promised: dict[Key, Future[Array]] = {}
        self._lock = threading.Lock()

    def get_or_compute(
        self,
        keys: Sequence[Key],
        compute: Callable[[Sequence[Key]], Sequence[Array]],
        timeout: Callable[[], float],
    ) -> tuple[dict[Key, Array], bool]:
        """The arrays of `keys`.

        Args:
            keys: the keys.
            compute: is called with the keys that are neither kept nor being computed; returns their arrays in that order.
            timeout: the seconds left to wait for arrays that other requests compute.

        Returns:
            The arrays by key, and whether nothing had to be computed for this call.

        Raises:
            TimeoutError: others did not finish in time.
            Exception: whatever `compute` raises. Requests that waited for it then compute the arrays themselves.
        """
        found: dict[Key, Array] = {}
        hit = True
        while wanted := [key for key in dict.fromkeys(keys) if key not in found]:
            kept, promised, missing = self._claim(wanted)
            found.update(kept)
            if missing:
                hit = False
                found.update(zip(missing, self._fulfil(missing, compute), strict=True))
            found.update(_received(promised, timeout))
        return found, hit

    def missing(self, keys: Iterable[Key]) -> list[Key]:
        """Those of `keys` that are not kept."""
        with self._lock:
            return [key for key in keys if key not in self._kept]

    def _claim(self, keys: Iterable[Key]) -> tuple[dict[Key, Array], dict[Key, Future[Array]], list[Key]]:
        found: dict[Key, Array] = {}
        promised: dict[Key, Future[Array]] = {}
        missing: list[Key] = []
        with self._lock:
            for key in keys:
                if (array := self._kept.get(key)) is not None:
                    found[key] = array
                elif key in self._promised:
                    promised[key] = self._promised[key]
                else:
                    self._promised[key] = Future()
                    missing.append(key)
        return found, promised, missing

    def _fulfil(
        self, keys: list[Key], compute: Callable[[Sequence[Key]], Sequence[Array]]
    ) -> Sequence[Array]:
        try:
            arrays = compute(keys)
        except BaseException as error:
            for promise in self._withdraw(keys):
                promise.set_exception(error)
            raise
        for array in arrays:
            array.setflags(write=False)
        self._keep(keys, arrays)
        for promise, array in zip(self._withdraw(keys), arrays, strict=True):
            promise.set_result(array)
        return arrays

    def _keep(self, keys: list[Key], arrays: Sequence[Array]) -> None:
        with self._lock:
            for key, array in zip(keys, arrays, strict=True):
                if _cost(array) <= self._kept.maxsize:
                    self._kept[key] = array

    def _withdraw(self, keys: list[Key]) -> list[Future[Array]]:
        with self._lock:
            return [self._promised.pop(key) for key in keys]


def _cost(array: Array) -> int:
    return array.nbytes + _BYTES_PER_ENTRY


def _received(promised: dict[Key, Future[Array]], timeout: Callable[[], float]) -> dict[Key, Array]:
    """Arrays that other requests computed. A request that failed may have failed for reasons of its own: it is left out."""
    if wait(promised.values(), timeout()).not_done:
        raise TimeoutError
    return {key: promise.result() for key, promise in promised.items() if promise.exception() is None}
