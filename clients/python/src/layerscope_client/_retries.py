"""Retries: when a request is sent again while the service is busy."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2

MAX_PAUSE_SECONDS = 30.0
"""The longest pause before a retry. If the service asks for a longer one, the call fails at once."""

_BUSY = (429, 503)
_FIRST_PAUSE_SECONDS = 0.5


def pause(response: httpx2.Response, attempt: int, retries: int) -> float | None:
    """Seconds to wait before a request is sent again, or None if its answer is final.

    Only answers 429 and 503 lead to a retry: after the time of `Retry-After`, or after 0.5 s that double each time.

    Args:
        response: The answer to the attempt.
        attempt: Number of retries so far.
        retries: Most retries.
    """
    if response.status_code not in _BUSY or attempt >= retries:
        return None
    requested = _retry_after(response.headers.get("retry-after"))
    if requested is None:
        return min(_FIRST_PAUSE_SECONDS * (1 << min(attempt, 10)), MAX_PAUSE_SECONDS)
    return requested if requested <= MAX_PAUSE_SECONDS else None


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which is a number of seconds or a date; None if it is neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return _seconds_until(value)
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _seconds_until(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)
