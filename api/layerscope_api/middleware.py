"""What happens to every request and response, whatever the route. Pure ASGI: bodies are never read ahead."""

import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layerscope.errors import BodyTooLarge
from layerscope_api.errors import bug, our_error

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class ResponseHeaders:
    """Echo `X-Request-Id` or make one, time the request, and forbid guessing at content types.

    Bugs are answered here, outside of everything that can have one, so that their answers have the headers too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        asked = Headers(scope=scope).get("x-request-id", "")
        request_id = asked if _REQUEST_ID.fullmatch(asked) else uuid.uuid4().hex
        scope["request_id"] = request_id

        has_answered = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_answered
            if message["type"] == "http.response.start":
                has_answered = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                headers.append("Server-Timing", f"total;dur={(time.perf_counter() - started) * 1000:.2f}")
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            if has_answered:
                raise
            await bug(Request(scope), error)(scope, receive, send_with_headers)


class BodyLimit:
    """Refuse a body above `most_bytes`: at once when its length is declared, else where it passes the limit."""

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > self._most_bytes:
            response = our_error(Request(scope), self._error(int(declared)))
            response.headers["Connection"] = "close"
            await response(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._most_bytes:
                raise self._error(received)
            return message

        await self._app(scope, counted, send)

    def _error(self, size: int) -> BodyTooLarge:
        return BodyTooLarge(
            f"The body is {size:,} bytes or more; at most {self._most_bytes:,} are read",
            ways=(
                "send fewer images at once",
                "send pictures compressed, as PNG or JPEG",
                "store images one by one (POST /v1/images) and name them with image=",
            ),
            bytes=size,
            limit=self._most_bytes,
        )
