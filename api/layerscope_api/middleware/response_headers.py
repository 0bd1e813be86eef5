"""The headers of every response, and the log line of every request."""

import logging
import re
import time
import uuid
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layerscope_api.observability.logs import REQUESTS
from layerscope_api.observability.request_metrics import request_metrics

Header = tuple[bytes, bytes]

_CLIENT_CLOSED_REQUEST = 499
_MAX_LOGGED_PATH = 200
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_DEFAULT_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox")


class ResponseHeadersMiddleware:
    """Sets `X-Request-Id`, `Server-Timing` and the security headers of browsers, and logs the request.

    Args:
        app: the next ASGI application.
        embeddable: whether pages of other origins may embed the answers, such as pictures.
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
        received_id = Headers(scope=scope).get("x-request-id", "")
        request_id = received_id if _REQUEST_ID.fullmatch(received_id) else uuid.uuid4().hex
        scope["request_id"] = request_id

        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._with_all_headers(message["headers"], request_id, started)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            status = status or _CLIENT_CLOSED_REQUEST
        finally:
            if REQUESTS.isEnabledFor(logging.INFO) and not request_metrics(scope).is_routine:
                _log(scope, request_id, status, started)

    def _with_all_headers(self, headers: Iterable[Header], request_id: str, started: float) -> list[Header]:
        duration = f"total;dur={_milliseconds(started):.2f}".encode()
        completed = [
            *headers,
            *self._browser_headers,
            (b"x-request-id", request_id.encode()),
            (b"server-timing", duration),
        ]
        if not any(name == b"content-security-policy" for name, _ in completed):
            completed.append(_DEFAULT_POLICY)
        return completed


def _log(scope: Scope, request_id: str, status: int, started: float) -> None:
    path: bytes = scope.get("raw_path") or b""
    fields = {
        "request_id": request_id,
        **scope.get("trace", {}),
        "method": scope["method"],
        "path": path[:_MAX_LOGGED_PATH].decode("ascii", "replace"),
        "status": status,
        "milliseconds": round(_milliseconds(started), 2),
        "key": scope.get("key_id"),
    }
    REQUESTS.info("request", extra={"request": fields})


def _milliseconds(started: float) -> float:
    return (time.perf_counter() - started) * 1000
