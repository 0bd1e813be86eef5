"""Blocks of a file that is read from its beginning to its end, such as a compressed one."""

import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, TypeVar

Value = TypeVar("Value")

BYTES = 8 * 1024 * 1024
"""About so much is read at once."""

_KEPT = 2


class Blocks(Generic[Value]):
    """Rows of a file, read a block at a time. Safe to use from many threads.

    Threads ask for rows nearly in their order. So the last blocks are kept, and the file is read again from its beginning only for a
    row before them.

    Args:
        read: gives the rows from the beginning on.
        rows: how many a block has.
    """

    def __init__(self, read: Callable[[], Iterator[Value]], rows: int) -> None:
        self._read = read
        self._rows = rows
        self._lock = threading.Lock()
        self._kept: dict[int, list[Value]] = {}
        self._next = 0
        self._coming: Iterator[Value] | None = None

    def row(self, index: int) -> Value:
        """One row.

        Raises:
            IndexError: there are no more rows.
        """
        number, place = divmod(index, self._rows)
        with self._lock:
            if number not in self._kept:
                self._kept[number] = self._block(number)
                for old in list(self._kept)[:-_KEPT]:
                    del self._kept[old]
            return self._kept[number][place]

    def _block(self, number: int) -> list[Value]:
        coming, self._coming = self._coming, None
        if coming is None or number < self._next:
            coming, self._next = self._read(), 0
        first = (number - self._next) * self._rows
        block = list(islice(coming, first, first + self._rows))
        # After an error, what comes next is not known.
        self._coming, self._next = coming, number + 1
        return block
