"""The metrics of one request, and the middleware that records them once it has been answered."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layerscope.tensors.timing import Stopwatch

if TYPE_CHECKING:
    from layerscope.graph.model import ModelDescription
    from layerscope.tensors.activations import Activations
    from layerscope.tensors.timing import Timing

_CLIENT_CLOSED_REQUEST = 499


@dataclass(frozen=True)
class Answered:
    """What a model computed for an answer, in numbers: the values themselves must be free when they are sent.

    Attributes:
        images: how many images the request had, all inputs counted.
        rows: how many images were computed.
        hit: whether it took no run.
    """

    images: int
    rows: int
    hit: bool


@dataclass
class RequestMetrics:
    """What is known of one request; the code that handles it fills this in on the way.

    Attributes:
        reference: the model, as the caller wrote it.
        model: name and version of the model that answered; None if none did.
        answer: what the model computed; None if none did.
        timings: where the time of the answer went, from the beginning of the request on.
        reason: the code of the error that was answered.
        is_routine: whether the log has no line for it: a probe while models load, which comes every second.
        stopwatch: began with the request.
        began_ns: the same moment in nanoseconds since 1970.
    """

    reference: str = ""
    model: tuple[str, str] | None = None
    answer: Answered | None = None
    timings: "Sequence[Timing]" = ()
    reason: str | None = None
    is_routine: bool = False
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    began_ns: int = field(default_factory=time.time_ns)

    def answered(
        self, model: "ModelDescription", activations: "Activations", timings: "Sequence[Timing]"
    ) -> None:
        """Note that a model has answered."""
        self.model = model.name, str(model.version)
        first = next(iter(activations.values()), None)
        rows = 0 if first is None else len(first.values)
        self.answer = Answered(len(activations.images), rows, activations.hit)
        self.timings = timings


def request_metrics(scope: Scope) -> RequestMetrics:
    """The metrics of a request. They are created here for one that has not passed the middleware."""
    found: RequestMetrics | None = scope.get("request_metrics")
    if found is None:
        found = scope["request_metrics"] = RequestMetrics()
    return found


class RequestMetricsMiddleware:
    """Records every request, those included that another middleware refuses.

    Args:
        app: the next ASGI application.
        record: called after each answer with the request's metrics, the status, the seconds it took and the bytes of the
            body.
    """

    def __init__(self, app: ASGIApp, record: Callable[[RequestMetrics, int, float, int], None]) -> None:
        self._app = app
        self._record = record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        metrics = request_metrics(scope)
        # Stays as it is if the client disconnects before the answer begins.
        status, size = _CLIENT_CLOSED_REQUEST, 0

        async def counting_send(message: Message) -> None:
            nonlocal status, size
            status = message.get("status", status)
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counting_send)
        except Exception:
            status = 500 if status == _CLIENT_CLOSED_REQUEST else status
            raise
        finally:
            self._record(metrics, status, time.perf_counter() - started, size)
