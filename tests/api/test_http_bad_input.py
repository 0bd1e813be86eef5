"""Whatever is sent, the answer is a clear error of one shape, and the next request is answered as before."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answers_read import npy
from bad_requests import BAD_REQUESTS
from httpx2 import Response
from requests_made import ACTIVATIONS, FORM, JSON, NPY, PNG, SEVEN, png_of_nothing
from served_models import Gallery
from starlette.testclient import TestClient

from layerscope import demo
from layerscope.execution.local_engine import LocalEngine
from layerscope.graph.model import ModelDescription
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

LEAKS = re.compile(
    r"Traceback|File \"|site-packages|\.py\b|pydantic|orjson|starlette|PIL\b|tensorflow|keras\.|0x[0-9a-f]{6}",
    re.IGNORECASE,
)
PLACES = (str(Path(__file__).parents[2]), str(demo.MODELS), tempfile.gettempdir())
NEVER_KEPT = Limits(activation_cache_bytes=1)


@pytest.fixture(scope="module")
def service() -> Iterator[TestClient]:
    """The service without a cache, so that every good request runs the model anew."""
    with TestClient(
        create_app(Settings(models=None, limits=NEVER_KEPT)), raise_server_exceptions=False
    ) as http:
        yield http


@pytest.fixture
def unharmed(service: TestClient) -> Iterator[None]:
    """After the test, a good request gets what it got before."""

    def good() -> bytes:
        options = {"layers": "all", "format": "safetensors"}
        answer = service.post(ACTIVATIONS, content=SEVEN, headers=PNG, params=options)
        assert answer.status_code == 200
        return bytes(answer.content)

    service.post("/v1/images", content=SEVEN, headers=PNG)
    before = good()
    yield
    assert good() == before


def check(answer: Response, status: int, code: str, words: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.content) < 4096
    body: dict[str, Any] = answer.json()
    assert body.keys() == {"error", "code", "request_id", "details"}
    assert body["code"] == code
    assert re.search(words, body["error"], re.IGNORECASE), body["error"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert not LEAKS.search(answer.text), answer.text
    assert not any(place in answer.text for place in PLACES), answer.text
    if status == 413:
        check_too_large(body["error"], body["details"])
    return body


def check_too_large(message: str, details: dict[str, Any]) -> None:
    """Both numbers and three ways to stay below the limit, for a person and for a program."""
    numbers = {name: number for name, number in details.items() if isinstance(number, int)}
    limits = [number for name, number in numbers.items() if name.startswith("limit")]
    assert limits, details
    assert max(numbers.values()) > min(limits), details
    assert len(details["ways"]) == 3, details
    assert all(way in message for way in details["ways"]), message


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(("request_", "status", "code", "words"), BAD_REQUESTS)
def test_bad_input_is_a_clear_error_and_harms_nothing(
    service: TestClient, request_: dict[str, Any], status: int, code: str, words: str
) -> None:
    check(service.request(**request_), status, code, words)


@pytest.mark.usefixtures("unharmed")
def test_a_picture_that_unpacks_to_a_thousand_times_its_size(service: TestClient) -> None:
    bomb = png_of_nothing(9000)
    assert len(bomb) < 240_000
    for url in (ACTIVATIONS, "/v1/images"):
        body = check(service.post(url, content=bomb, headers=PNG), 413, "image_too_large", "9000 x 9000")
        assert (body["details"]["pixels"], body["details"]["limit_pixels"]) == (81_000_000, 40_000_000)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("headers", [PNG, JSON, FORM], ids=["image", "json", "form"])
def test_a_body_that_is_too_long_and_does_not_say_so(service: TestClient, headers: dict[str, str]) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(65):
            yield bytes(1 << 20)

    body = check(
        service.post(ACTIVATIONS, content=chunks(), headers=headers), 413, "body_too_large", "67,108,864"
    )
    assert body["details"]["limit"] == 64 << 20


def test_too_many_values_for_json_names_both_numbers_and_ways_to_shrink(service: TestClient) -> None:
    zeros = npy(np.zeros((64, 28, 28, 1), np.float32))
    answer = service.post(ACTIVATIONS, content=zeros, headers=NPY, params={"layers": "all"})
    body = check(answer, 413, "answer_too_large", "1,000,000")

    values = 64 * sum(
        np.prod(row["shape"]) for row in service.get("/v1/models/digits/layers").json()["layers"]
    )
    assert (body["details"]["values"], body["details"]["limit"]) == (values, 1_000_000)
    for words in (f"{values:,}", "channels=", "reduce=", "region=", "format=safetensors"):
        assert words in body["error"]


def test_a_tensor_without_a_picture(gallery: Gallery) -> None:
    send = {"content": SEVEN, "headers": PNG}
    url = "/v1/models/odd/feature-map.png"
    good = gallery.http.post(url, params={"layer": "conv"}, **send)
    for channels in ("all", "0"):
        answer = gallery.http.post(url, params={"layer": "five_axes", "channels": channels}, **send)
        check(answer, 422, "no_picture", "cannot be drawn")
    assert gallery.http.post(url, params={"layer": "conv"}, **send).content == good.content


def test_a_model_that_failed_is_a_conflict_and_the_others_are_not(gallery: Gallery) -> None:
    for url in ("/v1/models/broken", "/v1/models/broken/layers", "/v1/models/broken@1/graph"):
        check(gallery.http.get(url), 409, "model_not_loaded", "is not loaded: ")
    answer = gallery.http.post("/v1/models/broken/predictions", content=SEVEN, headers=PNG)
    check(answer, 409, "model_not_loaded", "is not loaded: ")
    assert gallery.http.post("/v1/models/odd/predictions", content=SEVEN, headers=PNG).status_code == 200


@pytest.mark.parametrize("charset", ["utf-7", "raw_unicode_escape", "punycode", "zlib", "none", "utf-16"])
def test_a_form_in_a_strange_charset(service: TestClient, charset: str) -> None:
    field = b'--x\r\nContent-Disposition: form-data; name="layers"\r\n\r\n+2AA- \\ud800 \xff\r\n--x--\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    answer = service.post(ACTIVATIONS, content=field, headers=headers)

    assert answer.status_code in {400, 422}
    check(answer, answer.status_code, answer.json()["code"], "")


def test_a_bug_tells_nothing_but_its_request_id(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(LocalEngine):
        def describe(self, reference: str) -> ModelDescription:
            raise RuntimeError(f"secret/place.py of {reference}")

    engine = Faulty(demo.MODELS)
    with TestClient(create_app(Settings(models=None), engine), raise_server_exceptions=False) as http:
        answer = http.get("/v1/models/digits", headers={"X-Request-Id": "job-7"})
    engine.close()

    check(answer, 500, "internal_error", "its log has the request id")
    assert answer.json()["request_id"] == "job-7"
    assert "request job-7 failed" in caplog.text
    assert "secret/place.py" in caplog.text
