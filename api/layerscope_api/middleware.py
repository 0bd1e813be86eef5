"""What happens to every request and response, whatever the route. Pure ASGI: bodies are never read ahead."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layerscope.errors import BodyTooLarge, Draining
from layerscope_api.errors import bug, our_error
from layerscope_api.logs import REQUESTS
from layerscope_api.refusals import refusal

Header = tuple[bytes, bytes]

_GONE = 499
MODEL_UPLOAD = ("POST", "/v1/models")
"""Method and path of the only requests whose body is as long as a model file."""

_FORM_BYTES = 1024 * 1024
"""What a form takes besides the file that it carries."""

_LOGGED_PATH = 200
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of pages: all they use comes from the service itself, and no script stands in them."""

_NO_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox")


class ResponseHeaders:
    """Echo `X-Request-Id` or make one, time and log the request, and tell browsers to make nothing else of an answer.

    Bugs are answered here, outside of everything that can have one, so that their answers have the headers too.

    Args:
        app: what comes behind.
        embeddable: whether pages of other origins may show the answers, as pictures for example.
    """

    def __init__(self, app: ASGIApp, *, embeddable: bool) -> None:
        self._app = app
        self._browser_headers = [
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"cross-origin" if embeddable else b"same-origin"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        asked = Headers(scope=scope).get("x-request-id", "")
        request_id = asked if _REQUEST_ID.fullmatch(asked) else uuid.uuid4().hex
        scope["request_id"] = request_id

        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._completed(message["headers"], request_id, started)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except asyncio.CancelledError:
            # The server ends, and its grace is over: see `running`.
            if status:
                raise
            error = Draining("The service ends, and this was not finished in time: ask again.")
            await our_error(Request(scope), error)(scope, receive, send_with_headers)
        except ClientDisconnect:
            status = status or _GONE
        except Exception as error:
            if status:
                raise
            await bug(Request(scope), error)(scope, receive, send_with_headers)
        finally:
            if REQUESTS.isEnabledFor(logging.INFO):
                _log(scope, request_id, status, started)

    def _completed(self, headers: Iterable[Header], request_id: str, started: float) -> list[Header]:
        duration = f"total;dur={_milliseconds(started):.2f}".encode()
        completed = [
            *headers,
            *self._browser_headers,
            (b"x-request-id", request_id.encode()),
            (b"server-timing", duration),
        ]
        if not any(name == b"content-security-policy" for name, _ in completed):
            completed.append(_NO_POLICY)
        return completed


def _log(scope: Scope, request_id: str, status: int, started: float) -> None:
    path: bytes = scope.get("raw_path") or b""
    figures = {
        "request_id": request_id,
        **scope.get("trace", {}),
        "method": scope["method"],
        "path": path[:_LOGGED_PATH].decode("ascii", "replace"),
        "status": status,
        "milliseconds": round(_milliseconds(started), 2),
        "key": scope.get("key_id"),
    }
    REQUESTS.info("request", extra={"request": figures})


def _milliseconds(started: float) -> float:
    return (time.perf_counter() - started) * 1000


class BodyLimit:
    """Refuse a body that is too long: at once when its length is declared, else where it passes the limit.

    Args:
        app: what comes behind.
        most_bytes: longest body.
        model_bytes: longest model file that may be sent; None where none may.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, model_bytes: int | None = None) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._model_bytes = model_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_model = self._model_bytes is not None and (scope["method"], scope["path"]) == MODEL_UPLOAD
        most = (self._model_bytes or 0) + _FORM_BYTES if is_model else self._most_bytes
        too_long = _model_too_long if is_model else _too_long
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            await refusal(scope, too_long(int(declared), most))(scope, receive, send)
            return
        received = 0
        is_too_long = False

        async def counted() -> Message:
            nonlocal received, is_too_long
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                is_too_long = True
                raise too_long(received, most)
            return message

        async def closing(message: Message) -> None:
            if is_too_long and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, counted, closing)


def _too_long(size: int, most: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is {size:,} bytes or more; at most {most:,} are read",
        ways=(
            "send fewer images at once",
            "send pictures compressed, as PNG or JPEG",
            "store images one by one (POST /v1/images) and name them with image=",
        ),
        bytes=size,
        limit=most,
    )


def _model_too_long(size: int, most: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is {size:,} bytes or more; of a model at most {most:,} are read",
        ways=(
            "save the model without its optimizer",
            "have it put into the model directory by whoever runs the service",
            "have model_file_bytes raised there",
        ),
        bytes=size,
        limit=most,
    )
