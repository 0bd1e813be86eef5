"""Bounds of the connection itself: slow senders, long headers, bodies nobody asked for. On real sockets."""

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from requests_made import SEVEN

from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from layerscope_api.server.process import Server

PATIENCE_SECONDS = 0.5
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    engine = LocalEngine(tmp_path_factory.mktemp("nothing"))
    engine.load_all()
    limits = Limits(sender_milliseconds=int(PATIENCE_SECONDS * 1000), body_bytes=1 << 20)
    settings = Settings(models=None, limits=limits)
    server = Server(create_app(settings, engine), settings)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    engine.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def until_closed(connection: socket.socket) -> bytes:
    """All that comes; fails with a timeout if the service never closes."""
    received = b""
    with suppress(ConnectionResetError):
        while chunk := connection.recv(65_536):
            received += chunk
    connection.close()
    return received


def status_and_code(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"x-request-id: " in head.lower()
    assert b"connection: close" in head.lower()
    document = json.loads(body)
    assert document.keys() == {"error", "code", "request_id", "details"}
    return int(head.split()[1]), document["code"]


def is_well(port: int) -> bool:
    with connect(port) as connection:
        connection.sendall(LIVE)
        return connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_h03_who_says_nothing_is_left_alone(port: int) -> None:
    assert until_closed(connect(port)) == b""
    assert is_well(port)


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"G", id="a letter"),
        pytest.param(LIVE[:-2], id="headers without their end"),
        pytest.param(POST + b"Content-Length: 10\r\n\r\n", id="no body"),
        pytest.param(POST + b"Content-Length: 10\r\n\r\n123", id="a part of a body"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", id="a chunk"),
        pytest.param(LIVE + b"GET /v", id="a second request"),
    ],
)
def test_h03_half_a_request_is_answered_and_closed(port: int, begun: bytes) -> None:
    connection = connect(port)
    connection.sendall(begun)
    answer = until_closed(connection)

    if begun.startswith(LIVE):
        assert answer.startswith(b"HTTP/1.1 200 ")
        answer = answer[answer.rindex(b"HTTP/1.1") :]
    assert status_and_code(answer) == (408, "slow_sender")
    assert is_well(port)


@pytest.mark.parametrize("begun", [b"GET / HTTP/1.1\r\nX-Long: ", POST + b"Content-Length: 100000\r\n\r\n"])
def test_h03_dripping_does_not_help(port: int, begun: bytes) -> None:
    connection = connect(port)
    connection.sendall(begun)
    stop = threading.Event()

    def drip() -> None:
        with suppress(OSError):
            while not stop.wait(PATIENCE_SECONDS / 10):
                connection.send(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    answer = until_closed(connection)
    stop.set()
    dripping.join()

    assert not answer or status_and_code(answer) == (408, "slow_sender")
    assert is_well(port)


def test_h03_a_long_body_may_take_its_time_while_it_comes(port: int) -> None:
    """One that takes longer in all than the service waits for a part of it."""
    body = SEVEN + bytes(600_000)
    connection = connect(port)
    connection.sendall(POST + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode())
    for start in range(0, len(body), 100_000):
        time.sleep(PATIENCE_SECONDS / 4)
        connection.sendall(body[start : start + 100_000])

    assert until_closed(connection).startswith(b"HTTP/1.1 201 ")


def test_h03_many_idle_connections_keep_nobody_out(port: int) -> None:
    idle = [connect(port) for _ in range(400)]
    for each in idle[::2]:
        each.sendall(LIVE[:20])
    assert is_well(port)
    for each in idle:
        until_closed(each)
    assert is_well(port)


@pytest.mark.parametrize("size", [20_000, 200_000, 20_000_000])
def test_h04_long_headers(port: int, size: int) -> None:
    connection = connect(port)
    with suppress(OSError):
        connection.sendall(LIVE[:-2] + b"X-Long: " + b"x" * size + b"\r\n\r\n")
    answer = until_closed(connection)

    assert not answer or status_and_code(answer) == (431, "headers_too_large")
    assert answer or size > 1_000_000
    assert is_well(port)


def test_h04_a_long_address(port: int) -> None:
    connection = connect(port)
    connection.sendall(b"GET /" + b"x" * 17_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert status_and_code(until_closed(connection)) == (431, "headers_too_large")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no Host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", id="two Hosts"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\n folded\r\nX : y\r\n\r\n", id="a damaged line"),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", id="no Host in HTTP/1.0"),
        pytest.param(
            POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="a damaged chunk"
        ),
        pytest.param(POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", id="two lengths"),
    ],
)
def test_h04_what_is_not_http(port: int, raw: bytes) -> None:
    connection = connect(port)
    connection.sendall(raw)
    answer = until_closed(connection) if b"1.0" not in raw else connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert is_well(port)


@pytest.mark.parametrize("is_declared", [True, False])
def test_h02_a_body_that_is_too_long_ends_the_connection(port: int, is_declared: bool) -> None:
    connection = connect(port)
    length = b"Content-Length: 100000000" if is_declared else b"Transfer-Encoding: chunked"
    connection.sendall(POST + length + b"\r\n\r\n")
    if not is_declared:
        connection.sendall(b"100001\r\n" + bytes(0x100001))

    assert status_and_code(until_closed(connection)) == (413, "body_too_large")
    assert is_well(port)


@pytest.mark.parametrize("size", [2 << 20, 100 << 20])
def test_h02_who_sends_all_of_it_before_reading_is_told_why(port: int, size: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/v1/images", bytes(size), {"Content-Type": "image/png"})
    answer = connection.getresponse()

    assert (answer.status, json.load(answer)["code"]) == (413, "body_too_large")
    assert is_well(port)


def test_a_protocol_error_while_a_request_is_answered_reaches_nobody_else(port: int) -> None:
    connection = connect(port)
    connection.sendall(LIVE + b"\0\0\0 nonsense\r\n\r\n")
    answers = until_closed(connection)

    assert answers.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 400 " in answers
    assert is_well(port)


def test_damaged_requests_are_answered_or_closed(port: int) -> None:
    async def send(noise: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(noise)
        with suppress(ConnectionError):
            answer = await asyncio.wait_for(reader.read(), 20)
            writer.close()
            return answer
        return b""

    async def all_of_it() -> list[bytes]:
        request = LIVE[:-2] + b"Connection: close\r\n\r\n"
        mutations = [request[:cut] + bytes([cut]) + request[cut + 1 :] for cut in range(len(request))]
        return await asyncio.gather(*map(send, mutations))

    answers = asyncio.run(all_of_it())
    statuses = {answer[9:12] for answer in answers if answer}
    assert statuses <= {b"200", b"400", b"404", b"405", b"408", b"431"}
    assert is_well(port)
