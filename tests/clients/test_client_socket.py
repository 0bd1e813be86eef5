"""The client over a real socket: its own connections, retries and failures."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import uvicorn

from layerscope.demo import samples
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from layerscope_client import Client, errors

SEVEN = samples()["seven"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A service that works on one request at a time and refuses the others."""
    app = create_app(Settings(models=None, limits=Limits(pending_requests=1)))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    host, port = listener.getsockname()
    yield f"http://{host}:{port}"
    server.should_exit = True
    thread.join()
    listener.close()


def test_a_batch_crosses_a_socket_unchanged(address: str) -> None:
    images = list(samples().values())
    with Client(address) as scope:
        digits = scope.model("digits")
        inputs = digits.activations(images, layers="input")["input"]
        best = [image[0]["class"] for image in digits.predictions(images)["outputs"][0]["predictions"]]
        again = digits.activations(inputs.copy(), layers="input")["input"]

    assert best == list(range(10))
    np.testing.assert_array_equal(inputs, again)


def test_a_busy_service_is_asked_again(address: str) -> None:
    with Client(address, retries=100) as scope:
        digits = scope.model("digits")
        stored = scope.upload(SEVEN)
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(lambda _: digits.predictions(stored), range(12)))

    assert [answer["outputs"][0]["predictions"][0][0]["class"] for answer in answers] == [7] * 12


def test_progress_comes_while_the_service_works_and_what_it_raises_stops_that(address: str) -> None:
    class EnoughError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        assert done < total == 27 * 27
        raise EnoughError

    with Client(address, retries=100) as scope:
        digits = scope.model("digits")
        with pytest.raises(EnoughError):
            digits.attribution(SEVEN, "occlusion", patch=2, stride=1, progress=stop)
        assert digits.predictions(SEVEN)["outputs"]


def test_no_answer_is_an_error_of_its_own(unused_port: int) -> None:
    with (
        Client(f"http://user:secret@127.0.0.1:{unused_port}") as scope,
        pytest.raises(errors.ConnectionFailed) as failed,
    ):
        scope.models()

    assert failed.value.status is None
    assert failed.value.details["cause"] == "ConnectError"
    assert f"127.0.0.1:{unused_port}" in str(failed.value)
    assert "secret" not in str(failed.value)


def test_a_service_that_is_too_slow_has_not_answered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with (
            Client(f"http://127.0.0.1:{port}", timeout=0.1) as scope,
            pytest.raises(errors.ConnectionFailed) as failed,
        ):
            scope.models()

    assert failed.value.details["cause"] == "ReadTimeout"
