"""Traces: a span a request in the trace of who asks, its stages below it, and nothing of all that where nobody asks for it."""

import json
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from requests_made import ACTIVATIONS, PNG, PREDICTIONS, SEVEN
from served_process import serving
from starlette.testclient import TestClient

from layerscope_api.context.settings import Settings
from layerscope_api.observability.tracing import TracingMiddleware, tracing_of_environment
from layerscope_api.server.app import create_app

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"


@dataclass(frozen=True)
class Traced:
    """A service, and what it tells a collector in memory."""

    http: TestClient
    collected: InMemorySpanExporter

    def spans(self, method: str, path: str, **options: Any) -> Sequence[ReadableSpan]:
        """That of a request, and those below it by their start."""
        self.collected.clear()
        self.http.request(method, path, **options)
        found = self.collected.get_finished_spans()
        (server,) = [span for span in found if span.kind is SpanKind.SERVER]
        below = [span for span in found if span is not server]
        return [server, *sorted(below, key=lambda span: span.start_time or 0)]


@pytest.fixture(scope="module")
def traced() -> Iterator[Traced]:
    collected = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(collected))
    app = create_app(Settings(models=None))

    @app.get("/bug")
    def bug() -> None:
        raise ZeroDivisionError

    app.add_middleware(TracingMiddleware, provider=provider)
    with TestClient(app) as http:
        yield Traced(http, collected)


def test_a_request_is_a_span_in_the_trace_of_who_asks_with_its_stages_below(traced: Traced) -> None:
    server, *stages = traced.spans(
        "POST", PREDICTIONS, content=SEVEN + b"of a trace", headers={**PNG, "traceparent": SAMPLED}
    )

    assert (server.name, server.kind) == ("POST /v1/models/{model}/predictions", SpanKind.SERVER)
    assert f"{server.context.trace_id:032x}" == TRACE
    assert server.parent is not None
    assert f"{server.parent.span_id:016x}" == PARENT
    assert server.attributes is not None
    assert server.attributes["http.request.method"] == "POST"
    assert server.attributes["http.response.status_code"] == 200
    assert server.attributes["layerscope.model"] == "digits"
    assert server.attributes["layerscope.cached"] is False

    assert [stage.name for stage in stages] == ["decode", "queue", "run", "encode"]
    ends = server.start_time or 0
    for stage in stages:
        assert stage.parent == server.context
        assert stage.start_time is not None
        assert stage.end_time is not None
        assert ends - 1000 <= stage.start_time <= stage.end_time
        ends = stage.end_time
    assert ends <= (server.end_time or 0)


def test_an_answer_from_the_cache_has_no_stage_but_its_encoding(traced: Traced) -> None:
    asked = {"content": SEVEN + b"twice", "headers": PNG}
    traced.spans("POST", PREDICTIONS, **asked)
    server, *stages = traced.spans("POST", PREDICTIONS, **asked)

    assert server.attributes is not None
    assert server.attributes["layerscope.cached"] is True
    assert [stage.name for stage in stages] == ["encode"]


@pytest.mark.parametrize("parent", ["", "00-zz-zz-01", f"00-{'0' * 32}-{PARENT}-01"])
def test_without_a_trace_that_can_be_gone_on_with_a_new_one_begins(traced: Traced, parent: str) -> None:
    (server,) = traced.spans("GET", "/v1/models", headers={"traceparent": parent})
    assert server.parent is None
    assert server.name == "GET /v1/models"


@pytest.mark.parametrize(
    ("path", "status", "reason", "failed"),
    [
        ("/v1/models/none", 404, "model_not_found", StatusCode.UNSET),
        ("/bug", 500, "internal_error", StatusCode.ERROR),
        ("/v1/nothing/here", 404, "not_found", StatusCode.UNSET),
    ],
)
def test_what_went_wrong_is_said(
    traced: Traced, path: str, status: int, reason: str, failed: StatusCode
) -> None:
    (server,) = traced.spans("GET", path, headers={"X-Request-Id": "wanted-2"})
    assert server.attributes is not None
    assert server.attributes["http.response.status_code"] == status
    assert server.attributes["error.type"] == reason
    assert server.attributes["layerscope.request_id"] == "wanted-2"
    assert server.status.status_code is failed


def test_the_log_of_a_bug_names_its_trace(traced: Traced, caplog: pytest.LogCaptureFixture) -> None:
    (server,) = traced.spans("GET", "/bug", headers={"traceparent": SAMPLED, "X-Request-Id": "wanted-3"})
    (line,) = [vars(record)["request"] for record in caplog.records if record.exc_info]
    ids = {"trace_id": TRACE, "span_id": f"{server.context.span_id:016x}"}
    assert line == {"request_id": "wanted-3", **ids}


def test_neither_options_nor_keys_nor_files_are_in_a_trace(traced: Traced) -> None:
    headers = {**PNG, "Authorization": "Bearer ls_secret"}
    told = traced.spans("POST", f"{ACTIVATIONS}?layers=conv1,dense", content=SEVEN, headers=headers)
    said = json.dumps([json.loads(span.to_json()) for span in told])
    assert "conv1" not in said
    assert "ls_secret" not in said


def test_who_does_not_sample_gets_no_spans_but_ids_in_the_log(
    traced: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "layerscope_api.requests"):
        traced.collected.clear()
        traced.http.get("/v1/models", headers={"traceparent": NOT_SAMPLED})
    assert not traced.collected.get_finished_spans()
    (line,) = [vars(record)["request"] for record in caplog.records if record.getMessage() == "request"]
    assert line["trace_id"] == TRACE
    assert line["span_id"] not in {PARENT, "0" * 16}


def test_what_machines_ask_every_few_seconds_makes_no_traces(traced: Traced) -> None:
    traced.collected.clear()
    for path in ("/metrics", "/v2/health/live", "/v2/health/ready"):
        assert traced.http.get(path).status_code == 200
    assert not traced.collected.get_finished_spans()


def test_nothing_is_traced_or_even_imported_where_nobody_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    look = (
        "import sys; from layerscope_api.observability.tracing import tracing_of_environment; assert tracing_of_environment() is None;"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_the_log_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    assert tracing_of_environment() is None
    assert "pip install 'layerscope[tracing]'" in caplog.text


@pytest.mark.parametrize("off", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_the_environment_can_say_no(monkeypatch: pytest.MonkeyPatch, off: dict[str, str]) -> None:
    for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", **off}.items():
        monkeypatch.setenv(name, value)
    assert tracing_of_environment() is None


class Collector(BaseHTTPRequestHandler):
    """Takes what is exported by OTLP over HTTP."""

    received: ExportTraceServiceRequest

    def do_POST(self) -> None:
        """Take some spans."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        self.received.MergeFromString(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_collector_gets_the_spans_at_the_latest_when_the_service_ends() -> None:
    Collector.received = ExportTraceServiceRequest()
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "LAYERSCOPE_DRAIN_SECONDS": "0",
        }
        with serving("--log-format", "json", **environment) as service:
            assert service.ask("POST", PREDICTIONS, traceparent=SAMPLED)[0] == 200
            service.process.send_signal(signal.SIGTERM)
            assert service.end() == 0
        collector.shutdown()

    (resource,) = Collector.received.resource_spans
    about = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert (about["service.name"], about["deployment.environment.name"]) == ("layerscope", "test")
    spans = [span for scope in resource.scope_spans for span in scope.spans]
    assert {span.name for span in spans} == {
        "POST /v1/models/{model}/predictions",
        "decode",
        "queue",
        "run",
        "encode",
    }
    (server,) = [span for span in spans if span.parent_span_id.hex() == PARENT]
    (line,) = [json.loads(line) for line in service.lines if '"message":"request"' in line]
    assert line["request_id"]
    assert (line["trace_id"], line["span_id"]) == (TRACE, server.span_id.hex())
