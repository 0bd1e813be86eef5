"""What is refused leaves nothing behind: no memory, no file, one line of log, and the next request is answered as before."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
from bad_requests import BAD_REQUESTS
from requests_made import ACTIVATIONS, PNG, SEVEN, png_of_nothing
from served_process import serving
from test_http_hostile import HOSTILE_BODIES

from waiting import wait_for

MOST_BYTES = 20 << 20
PICTURE = {"method": "POST", "url": ACTIVATIONS, "headers": PNG}
GOOD = {**PICTURE, "content": SEVEN, "params": {"layers": "all", "format": "safetensors"}}


def refused() -> list[dict[str, Any]]:
    """Requests that are refused, as they can be sent over a real connection."""
    requests = [each.values[0] for each in BAD_REQUESTS]
    bodies = [
        {**PICTURE, "headers": {"Content-Type": "application/json"}, "content": each.values[0].encode()}
        for each in HOSTILE_BODIES
    ]
    pictures = [{**PICTURE, "content": png_of_nothing(9_000)}, {**PICTURE, "content": bytes(60 << 20)}]
    # A length that is a lie is for tests of the connection itself.
    return [
        each for each in (*requests, *bodies, *pictures) if "Content-Length" not in each.get("headers", {})
    ]


def test_what_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    surroundings = {
        "LAYERSCOPE_LIMITS__ACTIVATION_CACHE_BYTES": "1",
        "TMPDIR": str(tmp_path),
        # By itself, glibc learns to keep up to 64 MiB of freed memory for the next long body.
        "MALLOC_TRIM_THRESHOLD_": "65536",
    }
    asked: list[str] = []
    with (
        serving("--log-format", "json", **surroundings) as service,
        httpx2.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=60) as http,
    ):

        def send(request: dict[str, Any]) -> httpx2.Response:
            asked.append(f"request-{len(asked)}")
            headers = {**request.get("headers", {}), "X-Request-Id": asked[-1]}
            return http.request(**{**request, "headers": headers})

        http.post("/v1/images", content=SEVEN, headers=PNG)
        files = {each.name for each in tmp_path.iterdir()}
        before = [send(GOOD).content for _ in range(5)][-1]
        memory = service.resident_bytes()
        for request in refused():
            answer = send(request)
            assert 400 <= answer.status_code < 500, request
            assert answer.json()["request_id"] == asked[-1]
            assert send(GOOD).content == before
            # A long body may be freed a moment after its answer.
            wait_for(lambda: service.resident_bytes() - memory < MOST_BYTES)
        assert {each.name for each in tmp_path.iterdir()} == files
        # What is killed may not have said all.
        service.process.terminate()
        service.end()

    said = [json.loads(line) for line in service.lines if line.startswith("{")]
    lines = Counter(each["request_id"] for each in said if each["message"] == "request")
    assert {each: lines[each] for each in asked} == dict.fromkeys(asked, 1)
    assert "Traceback" not in "".join(service.lines)
