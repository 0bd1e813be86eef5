"""Working memory: the bytes that all requests share, and the account that each request has of it.

A request holds memory from its first byte to its last: its body as it comes, its computation, and its answer until that is
sent. Bodies are refused where they find no room, for nobody knows when the rest of one comes; an eighth of their memory is kept
for keys that have little of it. Computations wait for room, in the order in which they came.
"""

import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from layerscope.errors import MemoryBusy, QuotaExceeded
from layerscope.limits import Limits

MEMORY_WAIT = 0.75
"""The part of its time that a query or comparison waits for memory. With less than the rest it could hardly run; and the caller learns that the
memory was taken (503, with Retry-After) before the deadline of the whole request answers that the time is up."""


_RESERVE = 8
"""The part of the memory that is kept for small computations, and for keys whose bodies are small: an eighth."""


@dataclass(eq=False)
class _Turn:
    """A computation that waits for memory.

    Attributes:
        size: the bytes that it takes.
        owner: the key in whose share they count; None for a caller without one.
        from_reserve: how many of them it got of what is kept for small computations.
        is_granted: set when it has them.
    """

    size: int
    owner: str | None
    from_reserve: int = 0
    is_granted: threading.Event = field(default_factory=threading.Event)


class WorkingMemory:
    """The bytes that all requests share. Safe to use from many threads.

    Computations get memory in the order in which they came, even if a later one would fit: large ones would starve
    otherwise. Those of a key that has its share already are passed by. And an eighth of the memory is for small computations,
    of keys that hold no more than that in all: while there is room in it, they do not wait for large ones. A computation that
    takes more than the other seven eighths waits for all of the memory, and then nobody passes it by.

    Whoever gives memory back hands it to those whose turn it is, and wakes up nobody else. If all who wait looked for themselves,
    they would take the interpreter from everybody.

    Args:
        most_bytes: how many bytes there are for computations and answers.
        received_bytes: how many there are for bodies, in addition.
        key_percent: the part of both that requests of one key may have together. A single computation may have more.

    Attributes:
        taken: how many are reserved for computations and answers now.
        received: how many bodies take now.
    """

    def __init__(self, most_bytes: int, received_bytes: int = 0, key_percent: int = 100) -> None:
        self._most = most_bytes
        self._most_received = received_bytes
        self._reserve = most_bytes // _RESERVE
        self._in_reserve = 0
        self._share = most_bytes * key_percent // 100
        self._received_reserve = received_bytes // _RESERVE
        self._received_share = received_bytes * key_percent // 100
        self._queue: deque[_Turn] = deque()
        self._lock = threading.Lock()
        self._taken_by: Counter[str] = Counter()
        self._received_by: Counter[str] = Counter()
        self.taken = 0
        self.received = 0

    @classmethod
    def of(cls, limits: Limits) -> "WorkingMemory":
        """The memory that limits allow."""
        return cls(limits.working_bytes, limits.received_bytes, limits.key_percent)

    @contextmanager
    def reserved(self, size: int, timeout: float, owner: str | None = None) -> Iterator[None]:
        """Reserve `size` bytes until the context ends. They must not be more than there are.

        Args:
            size: how many.
            timeout: the seconds to wait for them.
            owner: the key in whose share they count; None for a caller without one.

        Raises:
            MemoryBusy: they were not free within that time.
            QuotaExceeded: requests and answers of this key had its share for all of that time.
        """
        turn = self._granted(_Turn(size, owner), timeout)
        try:
            yield
        finally:
            with self._lock:
                self._in_reserve -= turn.from_reserve
                self._count(-size, owner)
                self._grant()

    def add(self, size: int, owner: str | None) -> None:
        """Count so many more bytes of computations and answers. They may be below zero: then they are free again."""
        with self._lock:
            self._count(size, owner)
            # Also where there are more: a key that has its share now is passed by.
            self._grant()

    def receive(self, size: int, owner: str | None, held: int = 0) -> None:
        """Count so many more bytes of bodies. They may be below zero: then they are free again.

        Args:
            size: how many.
            owner: the key in whose share they count; None for a caller without one.
            held: what the request has of them already.

        Raises:
            MemoryBusy: bodies have no more room.
            QuotaExceeded: those of this key have no more.
        """
        with self._lock:
            if size > 0:
                self._require_room(size, owner, held)
            self.received += size
            _count(self._received_by, owner, size)

    def _require_room(self, size: int, owner: str | None, held: int) -> None:
        # Nothing is known of callers without a key but this request.
        held = held if owner is None else self._received_by[owner]
        is_alone = held == self.received
        is_small = held + size <= self._received_reserve // _RESERVE
        kept = 0 if is_alone or is_small else self._received_reserve
        if self.received + size > self._most_received - kept:
            raise MemoryBusy(
                f"Bodies that came take {self.received:,} of {self._most_received:,} bytes: try again in a moment.",
                bytes=size,
                taken=self.received,
                limit=self._most_received,
            )
        if owner is not None and self._received_by[owner] + size > self._received_share:
            raise QuotaExceeded(
                f"Bodies of this key take {self._received_by[owner]:,} of {self._received_share:,} bytes: try again in a"
                " moment.",
                bytes=size,
                taken=self._received_by[owner],
                limit=self._received_share,
            )

    def _count(self, size: int, owner: str | None) -> None:
        self.taken += size
        _count(self._taken_by, owner, size)

    def _granted(self, turn: _Turn, timeout: float) -> _Turn:
        """Wait until a turn has its bytes."""
        with self._lock:
            self._queue.append(turn)
            self._grant()
        if turn.is_granted.wait(timeout):
            return turn
        with self._lock:
            if turn.is_granted.is_set():
                return turn
            error = self._busy(turn)
            self._queue.remove(turn)
            # It may have kept others waiting.
            self._grant()
            raise error

    def _grant(self) -> None:
        """Give memory to all whose turn it is."""
        while (turn := self._next()) is not None:
            self._queue.remove(turn)
            self._in_reserve += turn.from_reserve
            self._count(turn.size, turn.owner)
            turn.is_granted.set()

    def _next(self) -> _Turn | None:
        """The turn that can be granted now; `from_reserve` says from where. Those whose keys have their share are passed by."""
        waiting = [turn for turn in self._queue if self._is_within_share(turn)]
        if not waiting:
            return None
        first = waiting[0]
        if self._fits(first):
            return first
        if any(map(self._needs_all, waiting)):
            return None
        small = next(filter(self._is_small, waiting), None)
        if small is None or small.size > min(self._reserve - self._in_reserve, self._most - self.taken):
            return None
        small.from_reserve = small.size
        return small

    def _fits(self, turn: _Turn) -> bool:
        if self._needs_all(turn):
            return self.taken + turn.size <= self._most
        return self.taken - self._in_reserve + turn.size <= self._most - self._reserve

    def _needs_all(self, turn: _Turn) -> bool:
        return turn.size > self._most - self._reserve

    def _is_small(self, turn: _Turn) -> bool:
        return self._held(turn) + turn.size <= self._reserve

    def _is_within_share(self, turn: _Turn) -> bool:
        held = self._held(turn)
        return not held or held + turn.size <= self._share

    def _held(self, turn: _Turn) -> int:
        """What the key of a turn holds already; nothing is known of callers without one."""
        return 0 if turn.owner is None else self._taken_by[turn.owner]

    def _busy(self, turn: _Turn) -> MemoryBusy | QuotaExceeded:
        if turn.owner is not None and not self._is_within_share(turn):
            taken = self._taken_by[turn.owner]
            return QuotaExceeded(
                f"Requests of this key, and answers to it that are not taken yet, have {taken:,} of {self._share:,} bytes,"
                f" and this request takes {turn.size:,}: take the answers, try again in a moment, or ask for less.",
                bytes=turn.size,
                taken=taken,
                limit=self._share,
            )
        return MemoryBusy(
            f"Other requests work in {self.taken:,} of {self._most:,} bytes, and this one takes {turn.size:,}: try again in"
            " a moment, or ask for less.",
            bytes=turn.size,
            taken=self.taken,
            limit=self._most,
        )


def _count(by_owner: Counter[str], owner: str | None, size: int) -> None:
    if owner is not None:
        by_owner[owner] += size
        if not by_owner[owner]:
            del by_owner[owner]


class Account:
    """The memory that one request holds before its computation and after it. Safe to use from many threads.

    Args:
        memory: what all requests share.
        owner: the key in whose share it counts; None for a caller without one.
    """

    def __init__(self, memory: WorkingMemory, owner: str | None = None) -> None:
        self._memory = memory
        self._received = 0
        self._answer = 0
        self._is_closed = False
        self._lock = threading.Lock()
        self.owner = owner

    def receive(self, size: int) -> None:
        """Count bytes of the body that have come, or that were made of it.

        Raises:
            MemoryBusy, QuotaExceeded: there is no room for them, see `WorkingMemory.receive`.
        """
        with self._lock:
            if not self._is_closed:
                self._memory.receive(size, self.owner, self._received)
                self._received += size

    def keep(self, size: int) -> None:
        """Count the bytes of an answer. They were reserved for making it, and are there until it is sent."""
        with self._lock:
            if not self._is_closed:
                self._memory.add(size, self.owner)
                self._answer += size

    def sent(self, size: int) -> None:
        """Give back bytes of an answer."""
        with self._lock:
            if given := min(size, self._answer):
                self._memory.add(-given, self.owner)
                self._answer -= given

    def close(self) -> None:
        """Give everything back: the request has ended. A thread that goes on for it counts nothing anymore."""
        with self._lock:
            if self._received:
                self._memory.receive(-self._received, self.owner)
            if self._answer:
                self._memory.add(-self._answer, self.owner)
            self._received = self._answer = 0
            self._is_closed = True
