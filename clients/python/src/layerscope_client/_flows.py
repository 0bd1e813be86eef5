"""Flows: calls as generators that yield requests, receive the answers and return a result.

A flow sends nothing itself, so that the same call runs on a blocking and on an asynchronous transport. The authentication
flows of httpx work in the same way.
"""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import httpx2

from layerscope_client._error_mapping import failure, unreadable

Progress: TypeAlias = Callable[[int, int], None]
"""A callback that gets the number of finished runs of the model and their total."""

_PROGRESS_PREFIX = '{"progress":'

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form with one file, which is read while it is sent."""

    name: str
    file: Path
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request below the address of the service. Every request can be sent twice without harm.

    With `progress` the answer is a stream of JSON lines: lines of progress are passed to the callback, and the last line
    is the answer.
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
    """Send a request and return the answer.

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
    """The JSON object of an answer.

    Raises:
        AnswerUnreadable: The answer is no JSON object.
    """
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise unreadable("it is no JSON object")
    return body


def report_progress(line: str, progress: Progress) -> None:
    """Call `progress` if a line of a stream is a line of progress.

    Raises:
        AnswerUnreadable: The line of progress is damaged.
    """
    if line.startswith(_PROGRESS_PREFIX):
        try:
            counts = json.loads(line)["progress"]
            done, total = int(counts["done"]), int(counts["total"])
        except (ValueError, KeyError, TypeError):
            raise unreadable("a line of progress in its stream is damaged") from None
        progress(done, total)


def part_of(body: Mapping[str, Any], key: str) -> Any:
    """A value of a JSON object.

    Raises:
        AnswerUnreadable: The object does not have the key.
    """
    if key not in body:
        raise unreadable(f"it has no {key!r}")
    return body[key]
