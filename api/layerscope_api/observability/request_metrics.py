"""Measure every request, from outside of everything that may refuse it."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layerscope_api.observability.metrics import Measured, Metrics

_GONE = 499


class Measure:
    """Give each request a place for what is known of it, and count it when it has been answered.

    Args:
        app: what comes behind.
        metrics: where it is counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        measured = scope["measured"] = Measured()
        status, size = _GONE, 0

        async def counted(message: Message) -> None:
            nonlocal status, size
            status = message.get("status", status)
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception:
            status = 500 if status == _GONE else status
            raise
        finally:
            self._metrics.served(measured, status, time.perf_counter() - started, size)


def measured_of(scope: Scope) -> Measured:
    """What is known of a request; one that nobody measures has a place for it too."""
    found: Measured = scope.setdefault("measured", Measured())
    return found
