"""OpenTelemetry traces: one span for each request, a child of the caller's span, and below it one span for each stage.

Traces need the extra `tracing`. The environment variables `OTEL_…` configure them, as is usual for the OpenTelemetry SDK:
spans are sent once `OTEL_EXPORTER_OTLP_ENDPOINT` is set. Without the extra or the variable no OpenTelemetry module is
imported.
"""

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from layerscope import __version__
from layerscope_api.observability.request_metrics import RequestMetrics, request_metrics

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

logger = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"}
_PROBES = ("/metrics", "/v2/health/")
"""Paths without traces: monitoring requests them every few seconds, and their traces would bury the others."""

_FAILED = 500
_MAX_PATH = 200


def tracing_of_environment() -> "TracerProvider | None":
    """The provider that exports spans to the endpoint in the environment; None if there is no endpoint."""
    environment = os.environ
    if not any(environment.get(name) for name in _ENDPOINTS):
        return None
    if (
        environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
        or environment.get("OTEL_TRACES_EXPORTER") == "none"
    ):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        logger.warning(
            "There are no traces, though the environment asks for them: pip install 'layerscope[tracing]'"
        )
        return None
    resource = Resource.create({"service.name": "layerscope", "service.version": __version__})
    provider = TracerProvider(resource=resource.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class TracingMiddleware:
    """Opens a span for each request, and sets its attributes when the request has been answered.

    The ids of trace and span are in the scope under `trace`, for the log.

    Args:
        app: the next ASGI application.
        provider: exports the spans.
    """

    def __init__(self, app: ASGIApp, provider: "TracerProvider") -> None:
        from opentelemetry import propagate, trace  # noqa: PLC0415 - an extra

        self._app = app
        self._extract = propagate.extract
        self._server = trace.SpanKind.SERVER
        self._in_context = trace.set_span_in_context
        self._failure = trace.StatusCode.ERROR
        self._tracer = provider.get_tracer("layerscope", __version__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["path"].startswith(_PROBES):
            await self._app(scope, receive, send)
            return
        status = 0

        async def noting_send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        with self._tracer.start_as_current_span(
            _method(scope),
            self._extract(Headers(scope=scope)),
            kind=self._server,
            attributes=_request_attributes(scope),
        ) as span:
            context = span.get_span_context()
            scope["trace"] = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
            try:
                await self._app(scope, receive, noting_send)
            finally:
                if span.is_recording():
                    self._finish(span, scope, status)

    def _finish(self, span: "Span", scope: Scope, status: int) -> None:
        route = getattr(scope.get("route"), "path", None)
        if route is not None:
            span.update_name(f"{_method(scope)} {route}")
            span.set_attribute("http.route", route)
        metrics = request_metrics(scope)
        span.set_attributes(_response_attributes(metrics, scope, status))
        if status >= _FAILED:
            span.set_status(self._failure)
        within = self._in_context(span)
        for timing in metrics.timings:
            started = metrics.began_ns + int(timing.offset * 1e9)
            child = self._tracer.start_span(timing.stage, within, start_time=started)
            child.end(started + int(timing.seconds * 1e9))


def _method(scope: Scope) -> str:
    """The method as OpenTelemetry's conventions name it: `_OTHER` for unknown ones, which any client can make up."""
    return scope["method"] if scope["method"] in _METHODS else "_OTHER"


def _request_attributes(scope: Scope) -> dict[str, Any]:
    """The attributes of the request. Options, bodies and keys are left out: traces leave the service."""
    return {
        "http.request.method": _method(scope),
        "url.scheme": scope.get("scheme", "http"),
        "url.path": scope["path"][:_MAX_PATH],
        "network.protocol.version": scope.get("http_version", "1.1"),
    }


def _response_attributes(metrics: RequestMetrics, scope: Scope, status: int) -> Mapping[str, Any]:
    attributes: dict[str, Any] = {"layerscope.request_id": scope.get("request_id", "")}
    if status:
        attributes["http.response.status_code"] = status
    if metrics.reason is not None:
        attributes["error.type"] = metrics.reason
    if metrics.model is not None:
        attributes["layerscope.model"], attributes["layerscope.version"] = metrics.model
    if metrics.answer is not None:
        attributes["layerscope.images"] = metrics.answer.images
        attributes["layerscope.cached"] = metrics.answer.hit
    return attributes
