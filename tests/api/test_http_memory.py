"""The account of memory that a request holds from its first byte to its last, over real connections."""

import io
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest
from requests_made import PNG, PREDICTIONS, SEVEN
from sockets import served

from layerscope.demo import MODELS
from layerscope.limits import Limits
from layerscope_api.context.api_keys import KeyFile, KeyScope
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

DEMO = (MODELS / "digits" / "1" / "model.keras").read_bytes()
MB = 1_000_000


@contextmanager
def started(**settings: object) -> Iterator[str]:
    """A service on a socket; gives its address."""
    made = Settings(**settings)  # type: ignore[arg-type]
    with served(create_app(made), made) as address:
        yield address


def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError


@contextmanager
def begun(address: str, path: str, announced: int, sent: bytes, **headers: str) -> Iterator[socket.socket]:
    """A request whose body is announced and not finished."""
    host, _, port = address.partition(":")
    lines = [f"POST {path} HTTP/1.1", f"Host: {address}", f"Content-Length: {announced}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + sent)
        yield connection


def test_bodies_that_are_not_finished_take_no_more_than_their_part_of_the_memory() -> None:
    with started(models=None, limits=Limits(received_bytes=3 * MB)) as address, ExitStack() as held:
        http = httpx2.Client(base_url=f"http://{address}", headers=PNG)

        def refused() -> bool:
            return http.post(PREDICTIONS, content=bytes(MB)).json()["code"] == "memory_busy"

        first = held.enter_context(begun(address, PREDICTIONS, 2 * MB, bytes(MB), Content_Type="image/png"))
        eventually(refused)
        answer = http.post(PREDICTIONS, content=bytes(MB))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["details"]["limit"] == 3 * MB
        assert http.post(PREDICTIONS, content=SEVEN).status_code == 200

        first.close()
        eventually(lambda: not refused())


def test_bodies_of_one_key_leave_room_for_those_of_another(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    tokens = [KeyFile(keys).create(name, [KeyScope.INFER])[1] for name in ("first", "second")]
    limits = Limits(received_bytes=6 * MB)
    with started(models=None, api_keys=keys, limits=limits) as address, ExitStack() as held:
        http = httpx2.Client(base_url=f"http://{address}", headers=PNG)

        def code(token: str) -> str:
            answer = http.post(PREDICTIONS, content=bytes(MB), headers={"Authorization": f"Bearer {token}"})
            return f"{answer.status_code} {answer.json()['code']}"

        bearer = f"Bearer {tokens[0]}"
        held.enter_context(
            begun(address, PREDICTIONS, 2 * MB, bytes(MB), Authorization=bearer, Content_Type="image/png")
        )
        eventually(lambda: code(tokens[0]) == "429 quota_exceeded")
        assert code(tokens[1]).startswith("415")


@pytest.mark.parametrize(
    ("content_type", "sent"),
    [("application/octet-stream", b"PK\3\4"), ("multipart/form-data; boundary=x", b"--x\r\n")],
)
def test_a_model_takes_the_room_that_has_come_of_it(tmp_path: Path, content_type: str, sent: bytes) -> None:
    limits = Limits(model_store_bytes=3 * len(DEMO))
    settings = {"models": tmp_path, "control": "explicit", "allow_upload": True, "limits": limits}
    with started(**settings) as address, ExitStack() as held:
        for _ in range(10):
            held.enter_context(
                begun(address, "/v1/models?name=slow", 2_000_000_000, sent, Content_Type=content_type)
            )
        eventually(lambda: len(list(tmp_path.glob(".incoming/*"))) == 10)

        answer = httpx2.post(f"http://{address}/v1/models?name=quick&load=false", content=DEMO, timeout=120)
        assert answer.status_code == 201, answer.text


def test_a_form_takes_room_in_the_store_while_it_comes(tmp_path: Path) -> None:
    limits = Limits(model_store_bytes=3 * MB)
    settings = {"models": tmp_path, "control": "explicit", "allow_upload": True, "limits": limits}
    with started(**settings) as address:
        files = {"model": ("m.keras", io.BytesIO(bytes(6 * MB)))}
        answer = httpx2.post(f"http://{address}/v1/models", data={"name": "large"}, files=files, timeout=120)

        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
        assert json.loads(answer.content)["details"]["size"] < 5 * MB
