"""The application under a server that is not its own: slow bodies are refused there, too."""

import json
import select
import socket
import threading
from collections.abc import Iterable, Iterator

import pytest
import uvicorn
from requests_made import SEVEN

from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

PATIENCE_SECONDS = 0.5
POST = b"POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    engine = LocalEngine(tmp_path_factory.mktemp("nothing"))
    engine.load_all()
    limits = Limits(sender_milliseconds=int(PATIENCE_SECONDS * 1000))
    app = create_app(Settings(models=None, limits=limits), engine)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    listener.close()
    engine.close()


def answer_to(port: int, head: bytes, parts: Iterable[bytes], pause_seconds: float = 0.0) -> tuple[int, str]:
    """The status and the code of the answer to a request of which no more is sent than these parts, before it is answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(POST + head + b"\r\n\r\n")
        for part in parts:
            connection.sendall(part)
            if select.select([connection], [], [], pause_seconds)[0]:
                break
        received = b""
        while not received.endswith(b"}") and (chunk := connection.recv(65_536)):
            received += chunk
    lines, _, body = received.partition(b"\r\n\r\n")
    return int(lines.split()[1]), json.loads(body).get("code", "")


@pytest.mark.parametrize(
    ("head", "part"),
    [
        pytest.param(b"Content-Length: 100000", b"", id="no body"),
        pytest.param(b"Content-Length: 100000", SEVEN, id="a part of a body"),
        pytest.param(b"Transfer-Encoding: chunked", b"5\r\n12345\r\n", id="a chunk"),
    ],
)
def test_a_body_that_stops_coming_is_refused(port: int, head: bytes, part: bytes) -> None:
    assert answer_to(port, head, [part]) == (408, "slow_sender")


def test_dripping_does_not_help(port: int) -> None:
    drops = iter([b"x"] * 80)
    answer = answer_to(port, b"Content-Length: 100000", drops, pause_seconds=PATIENCE_SECONDS / 4)
    assert answer == (408, "slow_sender")
    assert next(drops, None), "it was refused while it dripped"


def test_a_long_body_may_take_its_time_while_it_comes(port: int) -> None:
    body = SEVEN + bytes(600_000)
    parts = [body[start : start + 100_000] for start in range(0, len(body), 100_000)]
    head = f"Content-Length: {len(body)}".encode()
    assert answer_to(port, head, parts, pause_seconds=PATIENCE_SECONDS / 4) == (201, "")
