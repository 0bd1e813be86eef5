"""Working memory: the bytes that all requests share, handed out in the order in which they were requested."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from layerscope.errors import MemoryBusy


class WorkingMemory:
    """A number of bytes that all requests share. Safe to use from many threads.

    Requests get memory in the order in which they came, even if a later one would fit: large requests would starve
    otherwise.

    Args:
        most_bytes: how many bytes there are.

    Attributes:
        taken: how many are reserved now.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()
        self.taken = 0

    @contextmanager
    def reserved(self, size: int, timeout: float) -> Iterator[None]:
        """Reserve `size` bytes until the context ends. They must not be more than there are.

        Args:
            size: how many.
            timeout: the seconds to wait for them.

        Raises:
            MemoryBusy: they were not free within that time.
        """
        self._take(size, timeout)
        try:
            yield
        finally:
            with self._changed:
                self.taken -= size
                self._changed.notify_all()

    def _take(self, size: int, timeout: float) -> None:
        turn = object()
        with self._changed:
            self._queue.append(turn)
            try:
                if not self._changed.wait_for(lambda: self._may_take(turn, size), timeout):
                    raise self._busy(size)
                self.taken += size
            finally:
                self._queue.remove(turn)
                self._changed.notify_all()

    def _may_take(self, turn: object, size: int) -> bool:
        return self._queue[0] is turn and self.taken + size <= self._most

    def _busy(self, size: int) -> MemoryBusy:
        return MemoryBusy(
            f"Other requests work in {self.taken:,} of {self._most:,} bytes, and this one takes {size:,}: try again in a"
            " moment, or ask for less.",
            bytes=size,
            taken=self.taken,
            limit=self._most,
        )
