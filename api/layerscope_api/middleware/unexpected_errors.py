"""The answers to exceptions that no other code has answered."""

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layerscope.errors import Draining
from layerscope_api.responses.errors import internal_error_response, layerscope_error_response


class UnexpectedErrorsMiddleware:
    """Answers 500 to an exception that is not ours, and 503 to a request that the end of the service cuts off.

    It lies inside of what adds headers to answers, also those for pages of other origins, and outside of all that may raise.

    Args:
        app: the next ASGI application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def noting_send(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        except asyncio.CancelledError:
            # The server cancels its tasks when it ends and the grace period is over: see `server.process`.
            if has_begun:
                raise
            error = Draining("The service ends, and this was not finished in time: ask again.")
            await layerscope_error_response(Request(scope), error)(scope, receive, send)
        except ClientDisconnect:
            raise
        except Exception as error:
            if has_begun:
                raise
            await internal_error_response(Request(scope), error)(scope, receive, send)
