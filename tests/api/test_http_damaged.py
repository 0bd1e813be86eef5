"""R08: whatever is done to a body, or to a request as a whole, the answer is one that the contract knows."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import pytest
from answers_read import npy
from requests_made import ACTIVATIONS, FORM, JSON, NPY, PNG, PREDICTIONS, SEVEN, SEVEN_BASE64
from sockets import served
from starlette.testclient import TestClient

from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from mutations import mutations

Body = tuple[str, dict[str, str], bytes]

INFER = "/v2/models/digits/infer"
PIXELS = np.ones((2, 28, 28, 1), np.float32)


def form() -> bytes:
    layers = b'--x\r\nContent-Disposition: form-data; name="layers"\r\n\r\nconv1\r\n'
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    return layers + head + SEVEN + b"\r\n--x--\r\n"


def inference() -> Body:
    tensor = {"name": "input", "shape": PIXELS.shape, "datatype": "FP32"}
    size = {"parameters": {"binary_data_size": PIXELS.nbytes}}
    outputs = [{"name": "conv1", "parameters": {"binary_data": True}}]
    text = json.dumps({"inputs": [{**tensor, **size}], "outputs": outputs}).encode()
    return INFER, {"Inference-Header-Content-Length": str(len(text))}, text + PIXELS.tobytes()


QUESTION = {"images": [{"base64": SEVEN_BASE64}], "layers": ["conv1", "re:d.*"], "channels": [0, 3]}
BODIES: dict[str, Body] = {
    "picture": (ACTIVATIONS, PNG, SEVEN),
    "tensor": (ACTIVATIONS, NPY, npy(PIXELS)),
    "form": (ACTIVATIONS, FORM, form()),
    "JSON": (ACTIVATIONS, JSON, json.dumps(QUESTION).encode()),
    "inference": inference(),
}
HEAD = (
    f"GET {PREDICTIONS}?top=3&image=sha256-0 HTTP/1.1\r\nHost: localhost\r\nAccept: application/json;q=0.5, */*\r\n"
    'X-Request-Id: one-1\r\nIf-None-Match: "a", W/"b"\r\nConnection: close\r\n\r\n'
).encode()
KINDS = pytest.mark.parametrize("kind", BODIES)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    engine = LocalEngine(tmp_path_factory.mktemp("nothing"))
    engine.load_all()
    settings = Settings(models=None, limits=Limits(sender_milliseconds=500))
    with served(create_app(settings, engine), settings) as address:
        yield address
    engine.close()


def send_bodies(http: TestClient, kind: str, count: int) -> None:
    url, headers, body = BODIES[kind]
    before = http.post(url, headers=headers, content=body)
    assert before.status_code == 200, before.text
    known = {int(status) for status in _responses(http, url)}
    for damaged in mutations(body, count):
        answer = http.post(url, headers=headers, content=damaged)
        assert answer.status_code in known - {500}, (answer.status_code, damaged)
        if answer.status_code != 200:
            assert "error" in answer.json()
    assert http.post(url, headers=headers, content=body).content == before.content


def _responses(http: TestClient, url: str) -> dict[str, object]:
    template = url.replace("digits", "{model}")
    document = http.get("/openapi.json").json()["paths"]
    operation = next(each for path, each in document.items() if path == template)
    return dict(operation["post"]["responses"])


def send_requests(address: str, count: int) -> None:
    host, _, port = address.partition(":")

    async def send(noise: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(host, int(port))
        with suppress(ConnectionError):
            writer.write(noise)
            answer = await asyncio.wait_for(reader.read(), 20)
            writer.close()
            return answer
        return b""

    async def in_turns() -> set[bytes]:
        turn = asyncio.Semaphore(50)

        async def one(noise: bytes) -> bytes:
            async with turn:
                return await send(noise)

        answers = await asyncio.gather(*(one(each) for each in mutations(HEAD, count)))
        return {answer[9:12] for answer in answers if answer}

    statuses = asyncio.run(in_turns())
    assert statuses <= {
        b"200",
        b"304",
        b"400",
        b"401",
        b"403",
        b"404",
        b"405",
        b"406",
        b"408",
        b"413",
        b"415",
        b"422",
        b"431",
    }
    assert b"400" in statuses


@KINDS
def test_r08_damaged_bodies(http: TestClient, kind: str) -> None:
    send_bodies(http, kind, 60)


def test_r08_damaged_requests(address: str) -> None:
    send_requests(address, 300)


@pytest.mark.soak
@KINDS
def test_r08_damaged_bodies_by_the_thousand(
    http: TestClient, keep_figures: Callable[..., None], kind: str
) -> None:
    started = time.perf_counter()
    send_bodies(http, kind, 5_000)
    keep_figures("R08", f"bodies: {kind}", damaged=5_000, seconds=round(time.perf_counter() - started))


@pytest.mark.soak
def test_r08_damaged_requests_by_the_thousand(address: str, keep_figures: Callable[..., None]) -> None:
    started = time.perf_counter()
    send_requests(address, 20_000)
    keep_figures("R08", "requests", damaged=20_000, seconds=round(time.perf_counter() - started))
