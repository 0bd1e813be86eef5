"""The account of memory that a request holds from its first byte to its last, over real connections."""

import gc
import io
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx2
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from requests_made import ACTIVATIONS, PNG, PREDICTIONS, SEVEN
from sockets import served
from starlette.testclient import TestClient

from layerscope.demo import MODELS
from layerscope.execution.working_memory import WorkingMemory
from layerscope.limits import Limits
from layerscope.tensors.activations import Activations
from layerscope_api.context.api_keys import KeyFile, KeyScope
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from waiting import wait_for

DEMO = (MODELS / "digits" / "1" / "model.keras").read_bytes()
MB = 1_000_000
BINARY = {"Content-Type": "application/octet-stream"}


@contextmanager
def started(**settings: object) -> Iterator[str]:
    """A service on a socket; gives its address."""
    made = Settings(**settings)  # type: ignore[arg-type]
    with served(create_app(made), made) as address:
        yield address


def engine_memory(app: FastAPI) -> WorkingMemory:
    memory: WorkingMemory = app.state.service.engine.memory
    return memory


@contextmanager
def large_answer(
    keys: Path | None = None, token: str = "", **limits: int
) -> Iterator[tuple[socket.socket, FastAPI]]:
    """A connection on which an answer of several megabytes is asked for, with small buffers on the way."""
    settings = Settings(models=None, api_keys=keys, limits=Limits(activation_cache_bytes=1, **limits))
    app = create_app(settings)
    body = io.BytesIO()
    np.save(body, np.random.default_rng(0).random((64, 28, 28, 1), np.float32))
    data = body.getvalue()
    head = (
        f"POST {ACTIVATIONS}?layers=all&format=safetensors&preprocess=false HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    )
    head += f"Authorization: Bearer {token}\r\n" if token else ""
    head += f"Content-Type: application/x-npy\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    with served(app, settings) as address, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        host, _, port = address.partition(":")
        connection.connect((host, int(port)))
        wait_for(lambda: httpx2.get(f"http://{address}/v2/health/ready", timeout=60).is_success)
        connection.sendall(head.encode() + data)
        yield connection, app


def received(connection: socket.socket, pause: float = 0.0) -> tuple[int, int]:
    """The length of the body that the head of an answer announces, and that of the body that comes."""
    data = bytearray()
    with suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            data += piece
            time.sleep(pause)
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    return int(length.partition(b":")[2]), len(body)


def test_h03_an_answer_that_nobody_takes_holds_its_memory_until_it_is_given_up() -> None:
    with large_answer(receiver_milliseconds=10_000) as (connection, app):
        wait_for(lambda: engine_memory(app).taken > MB and app.state.service.engine.runs > 0)
        wait_for(lambda: engine_memory(app).taken == 0)

        announced, came = received(connection)
        assert announced > came


def test_an_answer_that_is_taken_slowly_comes_whole() -> None:
    with large_answer(receiver_milliseconds=10_000) as (connection, app):
        announced, came = received(connection, pause=0.001)

        assert announced == came > 5 * MB
        wait_for(lambda: engine_memory(app).taken == 0)


@pytest.mark.parametrize("is_read", [True, False])
def test_values_are_free_when_their_answer_is_sent_without_the_collector(*, is_read: bool) -> None:
    def alive() -> int:
        return sum(isinstance(each, Activations) for each in gc.get_objects())

    # What is alive is looked at while nothing else runs: `gc.get_objects` breaks tuples that are being made meanwhile.
    gc.collect()
    before = alive()
    with large_answer() as (connection, app):
        gc.disable()
        try:
            if is_read:
                received(connection)
            else:
                wait_for(lambda: app.state.service.engine.runs > 0 and engine_memory(app).taken > 0)
                connection.close()
            wait_for(lambda: engine_memory(app).taken == 0)
            wait_for(lambda: alive() == before)
        finally:
            gc.enable()


@contextmanager
def begun(address: str, path: str, announced: int, sent: bytes, **headers: str) -> Iterator[socket.socket]:
    """A request whose body is announced and not finished."""
    host, _, port = address.partition(":")
    lines = [f"POST {path} HTTP/1.1", f"Host: {address}", f"Content-Length: {announced}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + sent)
        yield connection


def test_h03_bodies_that_are_not_finished_take_no_more_than_their_part_of_the_memory() -> None:
    settings = Settings(models=None, limits=Limits(received_bytes=3 * MB, sender_milliseconds=60_000))
    app = create_app(settings)
    with served(app, settings) as address, ExitStack() as held:
        http = httpx2.Client(base_url=f"http://{address}", headers=PNG, timeout=60)

        def refused() -> bool:
            return http.post(PREDICTIONS, content=bytes(MB)).json()["code"] == "memory_busy"

        assert http.post(PREDICTIONS, content=SEVEN).status_code == 200
        first = held.enter_context(begun(address, PREDICTIONS, 2 * MB, bytes(MB), Content_Type="image/png"))
        # Bodies that come at the same time take turns, and either may be the one that finds no room.
        wait_for(lambda: engine_memory(app).received == 2 * MB)
        assert refused()
        answer = http.post(PREDICTIONS, content=bytes(MB))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["details"]["limit"] == 3 * MB
        assert http.post(PREDICTIONS, content=SEVEN).status_code == 200

        first.close()
        wait_for(lambda: not refused())


@pytest.mark.wide
def test_h03_who_holds_much_of_a_body_must_send_more_of_it() -> None:
    """64 KiB in each period are enough for a short body, and not for one that is half there."""
    limits = Limits(sender_milliseconds=300)
    with started(models=None, limits=limits) as address, ExitStack() as held:
        sends = held.enter_context(
            begun(address, PREDICTIONS, 60 * MB, bytes(40 * MB), Content_Type="image/png")
        )
        sends.settimeout(60)
        with suppress(ConnectionError):
            for _ in range(100):
                sends.sendall(bytes(MB // 10))
                time.sleep(0.15)
        assert sends.recv(4_096).startswith(b"HTTP/1.1 408 ")


def test_h03_bodies_of_one_key_leave_room_for_those_of_another(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    tokens = [KeyFile(keys).create(name, [KeyScope.INFER])[1] for name in ("first", "second")]
    settings = Settings(
        models=None, api_keys=keys, limits=Limits(received_bytes=6 * MB, sender_milliseconds=60_000)
    )
    app = create_app(settings)
    with served(app, settings) as address, ExitStack() as held:
        http = httpx2.Client(base_url=f"http://{address}", headers=PNG)

        def code(token: str) -> str:
            answer = http.post(PREDICTIONS, content=bytes(MB), headers={"Authorization": f"Bearer {token}"})
            return f"{answer.status_code} {answer.json()['code']}"

        assert code(tokens[1]).startswith("415")
        # An answer may come a moment before the memory of its request is given back.
        wait_for(lambda: engine_memory(app).received == 0)
        bearer = f"Bearer {tokens[0]}"
        held.enter_context(
            begun(address, PREDICTIONS, 2 * MB, bytes(MB), Authorization=bearer, Content_Type="image/png")
        )
        # Bodies that come at the same time take turns, and either may be the one that finds no room.
        wait_for(lambda: engine_memory(app).received == 2 * MB)
        assert code(tokens[0]) == "429 quota_exceeded"
        assert code(tokens[1]).startswith("415")


def test_h03_answers_of_one_key_that_nobody_takes_leave_room_for_those_of_another(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    tokens = [KeyFile(keys).create(name, [KeyScope.INFER])[1] for name in ("first", "second")]
    limits = {"working_bytes": 200 * MB, "key_percent": 1, "deadline_milliseconds": 2_000}
    with large_answer(keys, tokens[0], **limits) as (connection, app):
        wait_for(lambda: app.state.service.engine.runs > 0 and 2 * MB < engine_memory(app).taken < 10 * MB)
        host, port = connection.getpeername()
        http = httpx2.Client(base_url=f"http://{host}:{port}", headers=PNG, timeout=60)
        answers = [
            http.post(PREDICTIONS, content=SEVEN, headers={"Authorization": f"Bearer {token}"})
            for token in tokens
        ]
        assert [each.status_code for each in answers] == [429, 200]
        refused = answers[0].json()
        assert (refused["code"], refused["details"]["limit"]) == ("quota_exceeded", 2 * MB)


@pytest.mark.parametrize(
    ("content_type", "sent"),
    [("application/octet-stream", b"PK\3\4"), ("multipart/form-data; boundary=x", b"--x\r\n")],
)
def test_m13_a_model_takes_the_room_that_has_come_of_it(
    tmp_path: Path, content_type: str, sent: bytes
) -> None:
    limits = Limits(model_store_bytes=3 * len(DEMO))
    settings = {"models": tmp_path, "control": "explicit", "allow_upload": True, "limits": limits}
    with started(**settings) as address, ExitStack() as held:
        for _ in range(10):
            held.enter_context(
                begun(address, "/v1/models?name=slow", 2_000_000_000, sent, Content_Type=content_type)
            )
        wait_for(lambda: len(list(tmp_path.glob(".incoming/*"))) == 10)

        answer = httpx2.post(
            f"http://{address}/v1/models?name=quick&load=false", content=DEMO, headers=BINARY, timeout=120
        )
        assert answer.status_code == 201, answer.text


def test_a_form_takes_room_in_the_store_while_it_comes(tmp_path: Path) -> None:
    limits = Limits(model_store_bytes=3 * MB)
    settings = {"models": tmp_path, "control": "explicit", "allow_upload": True, "limits": limits}
    with started(**settings) as address:
        files = {"model": ("m.keras", io.BytesIO(bytes(6 * MB)))}
        answer = httpx2.post(f"http://{address}/v1/models", data={"name": "large"}, files=files, timeout=120)

        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
        assert json.loads(answer.content)["details"]["size"] < 5 * MB


def test_a_picture_is_stored_where_there_is_memory_to_decode_it() -> None:
    picture = io.BytesIO()
    Image.new("L", (1_000, 1_000)).save(picture, "PNG")
    settings = Settings(models=None, limits=Limits(working_bytes=10 * MB))
    with TestClient(create_app(settings)) as http:
        refused = http.post("/v1/images", content=picture.getvalue(), headers=PNG)
        stored = http.post("/v1/images", content=SEVEN, headers=PNG)

        assert (refused.status_code, refused.json()["code"]) == (413, "answer_too_large")
        assert stored.status_code == 201
        assert http.get(f"/v1/images/{stored.json()['id']}/thumbnail.png").status_code == 200
