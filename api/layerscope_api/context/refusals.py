"""Refusals: a key whose requests are refused again and again waits before its next one is read.

A refusal is cheap for the caller, and not for the service: it receives the body, and reads as much of it as it takes to say no.
Whoever sends the next one as soon as the last one is answered has the service busy with nothing else.
"""

import time
from collections import defaultdict
from collections.abc import Callable

_MIB = 1 << 20

_FREE_SECONDS = 0.5
"""How long a key may be refused more often than it should be before it waits: a program that fails in a loop, now and then."""

_MOST_SECONDS = 5.0
"""The longest wait."""


class Refusals:
    """How often keys were refused, and how long their next requests wait for it: a leaky bucket for each key.

    Args:
        per_second: how many refusals a key may have each second. A refused body counts once more for each MiB.
        clock: gives the time in seconds.
    """

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = 1 / per_second
        self._clock = clock
        # When what each key was refused is as often as it may be.
        self._even: defaultdict[str, float] = defaultdict(float)

    def note(self, owner: str, body_bytes: int) -> None:
        """Note that a request of a key was refused, with a body of so many bytes."""
        now = self._clock()
        cost = self._seconds * (1 + body_bytes // _MIB)
        self._even[owner] = min(max(self._even[owner], now) + cost, now + _FREE_SECONDS + _MOST_SECONDS)

    def wait_seconds(self, owner: str) -> float:
        """How long a request of a key that begins now must wait."""
        return max(0.0, self._even[owner] - self._clock() - _FREE_SECONDS)
