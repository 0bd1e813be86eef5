"""What is well-formed HTTP and means harm: bodies that parsers stumble over, and names that are paths."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from requests_made import ACTIVATIONS, JSON, PREDICTIONS, SEVEN, SEVEN_BASE64
from starlette.testclient import TestClient

IMAGES = f'"images": [{{"base64": "{SEVEN_BASE64}"}}]'
ERROR_BYTES = 1_024
HOSTILE_BODIES = [
    pytest.param(f'{{{IMAGES}, "top": NaN}}', id="NaN"),
    pytest.param(f'{{{IMAGES}, "top": Infinity}}', id="Infinity"),
    pytest.param(f'{{{IMAGES}, "top": 1e400}}', id="1e400"),
    pytest.param(f'{{{IMAGES}, "top": {"9" * 5_000}}}', id="an integer of 5,000 digits"),
    pytest.param(f'{{{IMAGES}, "layers": ["\\ud800"]}}', id="half a character"),
    pytest.param(f'{{{IMAGES}, "top": 1, "top": 2}}', id="a key twice"),
    pytest.param("[" * 100_000, id="depth"),
    pytest.param('{"a":' * 100_000, id="depth of objects"),
    pytest.param(f'{{{IMAGES}, "layers": "{"x" * 2_000_000}"}}', id="a long selector"),
    pytest.param(f'{{{IMAGES}, "dtype": "{"x" * 2_000_000}"}}', id="a long choice"),
    pytest.param(f'{{{IMAGES}, "{"x" * 2_000_000}": 1}}', id="a long name"),
    pytest.param("\0" * 2_000_000, id="zeros"),
]


@pytest.fixture(autouse=True)
def _answers_afterwards_as_before(http: TestClient) -> Iterator[None]:
    send = {"content": SEVEN, "headers": {"Content-Type": "image/png"}}
    before = http.post(PREDICTIONS, **send).content
    yield
    assert http.post(PREDICTIONS, **send).content == before


@pytest.mark.parametrize("body", HOSTILE_BODIES)
def test_h01_a_body_that_parsers_stumble_over_gets_a_short_answer(http: TestClient, body: str) -> None:
    url = PREDICTIONS if '"top"' in body else ACTIVATIONS
    answer = http.post(url, content=body.encode(), headers=JSON)

    assert answer.status_code in {400, 413, 422}, answer.text[:200]
    assert len(answer.content) <= ERROR_BYTES
    assert json.loads(answer.content).keys() == {"error", "code", "request_id", "details"}


@pytest.mark.parametrize(
    "name",
    [
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "%2e%2e",
        "%00",
        "%ff",
        "x" * 5_000,
        "a%0d%0aX-Evil:1",
        "~root",
        "digits@%2e%2e",
    ],
)
def test_h05_a_name_that_is_a_path_finds_nothing(http: TestClient, name: str) -> None:
    for path in (f"/v1/models/{name}", f"/v1/models/{name}/layers", f"/v1/images/{name}", f"/docs/{name}"):
        answer = http.get(path)
        assert answer.status_code in {404, 422}, path
        assert len(answer.content) <= ERROR_BYTES
        assert "x-evil" not in answer.headers
        assert str(Path.cwd()) not in answer.text
