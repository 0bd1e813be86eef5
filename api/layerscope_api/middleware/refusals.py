"""Lets keys wait whose requests are refused again and again, see `context.refusals`."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layerscope_api.context.refusals import Refusals
from layerscope_api.middleware.body_limit import RECEIVED_BYTES

_FIRST_REFUSAL = 400
"""Statuses from here on are refusals."""


class RefusalsMiddleware:
    """Waits before the body of a request is read, if its key was refused too often. Callers without a key do not wait.

    Args:
        app: the next ASGI application.
        per_second: how many refusals a key may have each second.
    """

    def __init__(self, app: ASGIApp, per_second: int) -> None:
        self._app = app
        self._refusals = Refusals(per_second)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        owner: str | None = scope.get("key_id")
        if owner is None:
            await self._app(scope, receive, send)
            return
        if seconds := self._refusals.wait_seconds(owner):
            await asyncio.sleep(seconds)

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= _FIRST_REFUSAL:
                announced = Headers(scope=scope).get("content-length", "0")
                body_bytes = max(scope.get(RECEIVED_BYTES, 0), int(announced) if announced.isdecimal() else 0)
                self._refusals.note(owner, body_bytes)
            await send(message)

        await self._app(scope, receive, send_and_note)
