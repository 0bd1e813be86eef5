"""Activations kept for the next request, one entry an image and a tap, and shared while they are computed."""

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
from cachetools import LRUCache

Array = np.ndarray[Any, np.dtype[Any]]
Key = Hashable


class ActivationCache:
    """Arrays by key, bounded in bytes; the least recently used make way. Safe to use from many threads.

    Whoever asks first for a key computes it; whoever asks meanwhile waits for that (*single flight*), so that ten
    simultaneous requests for one picture run the model once. Arrays that come out are read-only.
    """

    def __init__(self, most_bytes: int) -> None:
        self._kept: LRUCache[Key, Array] = LRUCache(most_bytes, getsizeof=lambda array: array.nbytes + 256)
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
            keys: what is wanted.
            compute: given the keys that nobody has or computes, returns their arrays in that order.
            timeout: the seconds left to wait for what others compute.

        Returns:
            The arrays by key, and whether nothing had to be computed for this call.

        Raises:
            TimeoutError: others did not finish in time.
            Exception: whatever `compute` raises. Those who waited for it compute for themselves.
        """
        found, promised, missing = self._claim(keys)
        if missing:
            found.update(zip(missing, self._fulfil(missing, compute), strict=True))
        hit = not missing
        for key, promise in promised.items():
            try:
                found[key] = promise.result(timeout())
            except TimeoutError:
                raise
            except Exception:
                found[key], hit = compute([key])[0], False
        return found, hit

    def _claim(self, keys: Sequence[Key]) -> tuple[dict[Key, Array], dict[Key, Future[Array]], list[Key]]:
        found: dict[Key, Array] = {}
        promised: dict[Key, Future[Array]] = {}
        missing: list[Key] = []
        with self._lock:
            for key in dict.fromkeys(keys):
                if (array := self._kept.get(key)) is not None:
                    found[key] = array
                elif key in self._promised:
                    promised[key] = self._promised[key]
                else:
                    self._promised[key] = Future()
                    missing.append(key)
        return found, promised, missing

    def _fulfil(self, keys: list[Key], compute: Callable[[Sequence[Key]], Sequence[Array]]) -> Sequence[Array]:
        try:
            arrays = compute(keys)
        except BaseException as error:
            with self._lock:
                promises = [self._promised.pop(key) for key in keys]
            for promise in promises:
                promise.set_exception(error)
            raise
        for array in arrays:
            array.setflags(write=False)
        with self._lock:
            promises = [self._promised.pop(key) for key in keys]
            for key, array in zip(keys, arrays, strict=True):
                if array.nbytes + 256 <= self._kept.maxsize:
                    self._kept[key] = array
        for promise, array in zip(promises, arrays, strict=True):
            promise.set_result(array)
        return arrays
