"""Refusals by the head of a request: a middleware that answers with an error before the body is read."""

from abc import ABC, abstractmethod

from starlette.types import ASGIApp, Receive, Scope, Send

from layerscope.errors import LayerscopeError
from layerscope_api.responses.errors import early_error_response


class RefusingMiddleware(ABC):
    """Answers requests that a subclass refuses with its error, and passes all others on.

    Args:
        app: the next ASGI application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        error = self.refusal(scope) if scope["type"] == "http" else None
        if error is None:
            await self._app(scope, receive, send)
        else:
            await early_error_response(scope, error)(scope, receive, send)

    @abstractmethod
    def refusal(self, scope: Scope) -> LayerscopeError | None:
        """Why a request is refused, from its head alone; None if it is not."""
