"""Waiting for what another thread or process is about to do."""

import time
from collections.abc import Callable
from typing import Any

MOST_SECONDS = 300
PAUSE_SECONDS = 0.02


def wait_for(met: Callable[[], Any]) -> Any:
    """What `met` gives as soon as that is true; it is asked again and again, for five minutes at most.

    Raises:
        AssertionError: it is not true after five minutes.
    """
    last = time.monotonic() + MOST_SECONDS
    while not (found := met()):
        assert time.monotonic() < last, f"still {found!r} after five minutes"
        time.sleep(PAUSE_SECONDS)
    return found
