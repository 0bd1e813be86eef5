"""Lets keys wait whose requests are refused again and again, see `context.refusals`."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layerscope_api.context.refusals import Refusals

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
        received = 0

        async def receive_and_count() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= _FIRST_REFUSAL:
                announced = Headers(scope=scope).get("content-length", "0")
                self._refusals.note(owner, max(received, int(announced) if announced.isdecimal() else 0))
            await send(message)

        await self._app(scope, receive_and_count, send_and_note)
