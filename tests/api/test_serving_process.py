"""The service as a process on the network: with keys, a log for programs, and an end that loses nothing."""

import http.client
import json
import logging
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from requests_made import ACTIVATIONS, PREDICTIONS, SEVEN
from served_process import Process, serving
from starlette.testclient import TestClient

from layerscope_api.context.api_keys import KeyFile, KeyScope
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app, local_engine

READY = "/v2/health/ready"


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


def test_r03_on_the_network_with_keys_it_logs_one_line_a_request_and_ends_with_what_it_began(
    keys: KeyFile, tmp_path: Path
) -> None:
    """R03, and what the log says. One process for both: it takes seconds to start."""
    key, token = keys.create("test", [KeyScope.INFER])
    options = ("--host", "0.0.0.0", "--api-keys", str(tmp_path / "keys.json"), "--log-format", "json")  # noqa: S104
    with serving(*options, LAYERSCOPE_DRAIN_SECONDS="2") as service:
        assert service.ask("GET", READY)[0] == 200
        assert service.ask("POST", PREDICTIONS)[0] == 401
        assert service.ask("POST", PREDICTIONS + "?top=3", token, **{"X-Request-Id": "wanted-1"})[0] == 200
        assert service.ask("GET", "/v1/%0aevil%22", token)[0] == 404
        key_of_another = "ls_00000000_" + "s" * 43
        assert service.ask("GET", "/v1/models", key_of_another)[0] == 401

        idle = socket.create_connection(("127.0.0.1", service.port))
        half = socket.create_connection(("127.0.0.1", service.port))
        half.sendall(b"GET /v1/mod")
        with in_flight(service.port, token) as flying:
            service.process.send_signal(signal.SIGTERM)
            wait_until_not_ready(service)
            flying.sendall(SEVEN[10:])
            status, _ = answer_of(flying)
        assert service.end() == 0
        idle.close()
        half.close()

    assert status == 200
    said = "".join(service.lines)
    assert token not in said
    assert key_of_another not in said
    assert "Traceback" not in said
    logged = [json.loads(line) for line in service.lines if line.startswith("{")]
    requests = [line for line in logged if line["message"] == "request"]
    assert all(re.fullmatch(r"[\w.-]+", line["request_id"]) for line in requests)
    (wanted,) = [line for line in requests if line["request_id"] == "wanted-1"]
    assert (wanted["method"], wanted["path"], wanted["status"]) == ("POST", PREDICTIONS, 200)
    assert wanted["key"] == key.id
    assert "/v1/%0aevil%22" in [line["path"] for line in requests]
    assert len({line["request_id"] for line in requests}) == len(requests)


@pytest.mark.soak
def test_r03_what_does_not_finish_within_its_grace_does_not_hold_up_the_end() -> None:
    patience = {"LAYERSCOPE_DRAIN_SECONDS": "0", "LAYERSCOPE_LIMITS__SENDER_MILLISECONDS": "600000"}
    with (
        serving(LAYERSCOPE_GRACE_SECONDS="1", **patience) as service,
        in_flight(service.port, "none") as flying,
    ):
        service.process.send_signal(signal.SIGTERM)
        status, body = answer_of(flying)
        assert service.end() == 0

    assert (status, body["code"]) == (503, "draining")
    assert "Traceback" not in "".join(service.lines)


@contextmanager
def in_flight(port: int, token: str) -> Iterator[socket.socket]:
    """A request whose body is sent up to its tenth byte."""
    head = (
        f"POST {ACTIVATIONS}?layers=dense HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(SEVEN)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head.encode() + SEVEN[:10])
        yield connection


def answer_of(connection: socket.socket) -> tuple[int, Any]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, json.loads(answer.read())


def wait_until_not_ready(service: Process) -> None:
    """The probe says so while the service still listens."""
    for _ in range(200):
        status, body = service.ask("GET", READY)
        if status == 503:
            assert body == {"ready": False, "live": True}
            return
        time.sleep(0.01)
    raise AssertionError("it never said that it is not ready")


def test_probes_are_not_logged_while_models_load(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(models=None)
    engine = local_engine(settings)
    with (
        caplog.at_level(logging.INFO, "layerscope_api.requests"),
        TestClient(create_app(settings, engine)) as http,
    ):
        assert http.get(READY).status_code == 503
        assert not caplog.records
        assert http.get("/v1/models").status_code == 200
        engine.load_all()
        assert http.get(READY).status_code == 200
    engine.close()

    assert [record.request["path"] for record in caplog.records] == ["/v1/models", READY]  # type: ignore[attr-defined]
