"""More connections than there are files: whom they are taken from, and who is answered all the same. On real sockets."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from requests_made import SEVEN
from served_process import serving
from sockets import served

from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

LIVE = "/v2/health/live"
MOST = 20


@contextmanager
def few_connections(directory: Path) -> Iterator[int]:
    """A service that takes few connections; its port."""
    engine = LocalEngine(directory)
    engine.load_all()
    settings = Settings(models=None, limits=Limits(connections=MOST))
    with served(create_app(settings, engine), settings) as address:
        yield int(address.partition(":")[2])
    engine.close()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def live(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", LIVE)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def status(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        return live(connection)
    finally:
        connection.close()


def test_h03_the_connection_that_was_idle_for_longest_makes_way_for_a_new_one(tmp_path: Path) -> None:
    with few_connections(tmp_path) as port, ExitStack() as opened:
        used = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        used.connect()
        idle = [opened.enter_context(connect(port)) for _ in range(MOST - 1)]
        assert live(used) == 200
        for _ in range(3):
            assert status(port) == 200

        assert idle[0].recv(1) == b""
        first = used.sock
        assert live(used) == 200
        assert used.sock is first
        used.close()


def test_h03_idle_connections_end_no_upload(tmp_path: Path) -> None:
    head = f"POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {len(SEVEN)}\r\n\r\n"
    with few_connections(tmp_path) as port, ExitStack() as opened:
        uploading = opened.enter_context(connect(port))
        uploading.sendall(head.encode() + SEVEN[:10])
        assert status(port) == 200
        for _ in range(3 * MOST):
            opened.enter_context(connect(port))
        assert status(port) == 200
        uploading.sendall(SEVEN[10:])

        assert uploading.recv(4096).startswith(b"HTTP/1.1 201 ")


def test_h03_unfinished_requests_on_all_connections_keep_nobody_out(tmp_path: Path) -> None:
    head = (
        b"POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\n"
    )
    with few_connections(tmp_path) as port, ExitStack() as opened:
        for _ in range(3 * MOST):
            opened.enter_context(connect(port)).sendall(head)
        assert status(port) == 200


def test_h03_more_connections_than_files_are_one_line_in_the_log() -> None:
    few_files = ("sh", "-c", 'ulimit -n 256; exec "$@"', "-")
    with serving(within=few_files) as service, ExitStack() as opened:
        for _ in range(400):
            opened.enter_context(connect(service.port))
        assert [service.ask("GET", LIVE)[0] for _ in range(20)] == [200] * 20
        said = "".join(service.lines)

    assert "Traceback" not in said
    assert said.count("no connection can be accepted") <= 1
