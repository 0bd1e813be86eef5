"""What is sent and what comes back, without sending it.

A call is a generator, a `Flow`: it yields requests, is sent the answers, and returns a result. So the same
call runs on a blocking and on an awaiting transport, as httpx's own authentication flows do.
"""

import json
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import httpx2

from layerscope_client._failures import failure, unreadable

MAX_PAUSE_SECONDS = 30.0
"""The longest pause before a retry. A service that asks for more gets no retry: the caller is told at once."""

_BUSY = (429, 503)

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many runs of the model are done, and of how many."""

_TELLS_PROGRESS = '{"progress":'

_FIRST_PAUSE_SECONDS = 0.5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Form:
    """A form with one file, which is read while it is sent."""

    name: str
    file: Path
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request below the service's address. All of them can be sent twice without harm.

    With `progress` the answer is a stream of lines of JSON: those that tell progress go there, and the last one is
    the answer.
    """

    method: str
    path: str
    params: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    progress: Progress | None = None
    form: "Form | None" = None


Flow: TypeAlias = Generator[Request, httpx2.Response, T]


def fetch(request: Request) -> Flow[httpx2.Response]:
    """Send a request and return its answer.

    Raises:
        LayerscopeError: The answer is an error.
    """
    response = yield request
    if not response.is_success:
        raise failure(response)
    return response


def fetch_json(request: Request) -> Flow[dict[str, Any]]:
    """Send a request and return the JSON object that answers it.

    Raises:
        AnswerUnreadable: The answer is no JSON object.
        LayerscopeError: The answer is an error.
    """
    return json_object((yield from fetch(request)))


def json_object(response: httpx2.Response) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        AnswerUnreadable: It is none.
    """
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise unreadable("it is no JSON object")
    return body


def tell(line: str, progress: Progress) -> None:
    """Pass on what a line of a stream tells of progress; other lines tell nothing.

    Raises:
        AnswerUnreadable: It should tell progress, and does not.
    """
    if line.startswith(_TELLS_PROGRESS):
        try:
            told = json.loads(line)["progress"]
            done, total = int(told["done"]), int(told["total"])
        except (ValueError, KeyError, TypeError):
            raise unreadable("its stream tells no progress") from None
        progress(done, total)


def pause(response: httpx2.Response, attempt: int, retries: int) -> float | None:
    """Seconds to wait before sending a request again, or None when its answer is final.

    Only 429 and 503 are tried again: after `Retry-After`, or else after 0.5 s that double each time.

    Args:
        response: The answer to the attempt.
        attempt: How many retries there have been, from 0.
        retries: How many there may be.
    """
    if response.status_code not in _BUSY or attempt >= retries:
        return None
    asked = _retry_after(response.headers.get("retry-after"))
    if asked is None:
        return min(_FIRST_PAUSE_SECONDS * (1 << min(attempt, 10)), MAX_PAUSE_SECONDS)
    return asked if asked <= MAX_PAUSE_SECONDS else None


def _retry_after(value: str | None) -> float | None:
    """Read a Retry-After header, which is a number of seconds or a date. None when it is neither."""
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
