"""Turns of requests with keys, see `context.turns`: from the end of the body to the first wait, or to the answer."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layerscope_api.context.turns import Turns, turn_of


class TurnsMiddleware:
    """Lets the requests of keys take turns. Callers without a key take none: nobody knows how many they are.

    Args:
        app: the next ASGI application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._turns = Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        owner: str | None = scope.get("key_id")
        if owner is None:
            await self._app(scope, receive, send)
            return
        has_all = not _has_body(scope)
        if has_all:
            scope["turn"] = await self._turns.take(owner)

        async def receive_and_take_turn() -> Message:
            nonlocal has_all
            message = await receive()
            if not has_all and message["type"] == "http.request" and not message.get("more_body"):
                has_all = True
                scope["turn"] = await self._turns.take(owner)
            return message

        try:
            await self._app(scope, receive_and_take_turn, send)
        finally:
            turn = turn_of(scope)
            if turn is not None:
                turn.give_back()


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
