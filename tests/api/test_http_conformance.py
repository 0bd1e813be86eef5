"""What RFC 9110 and 9112 say, where frameworks read it loosely."""

import socket
from collections.abc import Iterator

import pytest
from requests_made import ACTIVATIONS, FEATURE_MAP, PNG, PREDICTIONS, SEVEN
from sockets import served
from starlette.testclient import TestClient

from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits
from layerscope_api.context.api_keys import KeyFile, KeyScope
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

LIVE = "/v2/health/live"
PAGE = "https://example.org"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    engine = LocalEngine(tmp_path_factory.mktemp("nothing"))
    engine.load_all()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def address(engine: LocalEngine) -> Iterator[str]:
    settings = Settings(models=None)
    with served(create_app(settings, engine), settings) as address:
        yield address


def answers(address: str, *sent: bytes) -> bytes:
    """All that is answered to some bytes until the service closes the connection."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        for part in sent:
            connection.sendall(part)
        return b"".join(iter(lambda: connection.recv(65536), b""))


READ_IN_TWO_WAYS = {
    "bare LF": b"GET /v2/health/live HTTP/1.1\nHost: localhost\r\n\r\n",
    "bare LF at the end": b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\n",
    "a folded header": b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n",
    "HTTP/2.0": b"GET /v2/health/live HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "HTTP/0.9": b"GET /v2/health/live HTTP/0.9\r\nHost: localhost\r\n\r\n",
    "two lengths": b"POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare LF behind the last chunk": b"POST /v1/images HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n",
    "bare LF in trailers": b"POST /v1/images HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\nC: d\r\n\r\n",
    "a folded trailer": b"POST /v1/images HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\nD: e\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /v1/images HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("sent", READ_IN_TWO_WAYS.values(), ids=READ_IN_TWO_WAYS)
def test_what_can_be_read_in_two_ways_is_refused_and_ends_the_connection(address: str, sent: bytes) -> None:
    following = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    received = answers(address, sent + following)

    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in received.lower()


def test_head_is_answered_with_the_headers_of_get_and_no_body(address: str) -> None:
    head = b"HEAD /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    got = answers(
        address, head, head.replace(b"HEAD", b"GET").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    )

    first, second, body = got.split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200 ")
    assert second.startswith(b"HTTP/1.1 200 ")
    assert f"content-length: {len(body)}".encode() in first.lower()


def test_head_is_answered_wherever_get_is(http: TestClient, seven: str) -> None:
    paths = [path for path, each in http.get("/openapi.json").json()["paths"].items() if "get" in each]
    # Not attributions, which take long; each is a path like the others.
    for path in [*paths, "/", "/docs", "/ui/", f"{FEATURE_MAP}?image={seven}&layer=conv1"]:
        if "{method}" not in path:
            url = path.replace("{model}", "digits").replace("{version}", "1").replace("{image}", seven)
            head, get = http.head(url, follow_redirects=False), http.get(url, follow_redirects=False)
            assert (head.status_code, head.content) == (get.status_code, b""), url
            assert head.headers.get("content-type") == get.headers.get("content-type")


def test_the_methods_of_an_address_are_listed_with_head(http: TestClient) -> None:
    assert http.delete("/v1/limits").headers["allow"] == "GET, HEAD"
    assert http.head("/v2/repository/index").headers["allow"] == "POST"


def test_any_answer_is_known_only_where_there_is_one(http: TestClient, seven: str) -> None:
    star = {"If-None-Match": "*"}
    assert http.get(FEATURE_MAP, params={"image": seven, "layer": "conv1"}, headers=star).status_code == 304
    assert http.get(FEATURE_MAP, params={"image": seven, "layer": "none"}, headers=star).status_code == 422
    unknown = "sha256-" + "0" * 64
    assert http.get(FEATURE_MAP, params={"image": unknown, "layer": "conv1"}, headers=star).status_code == 404


def test_two_keys_are_none(engine: LocalEngine, tmp_path) -> None:
    _, token = KeyFile(tmp_path / "keys.json").create("test", [KeyScope.INFER], None)
    keys = [("Authorization", "Bearer other"), ("Authorization", f"Bearer {token}")]
    with TestClient(create_app(Settings(models=None, api_keys=tmp_path / "keys.json"), engine)) as http:
        for headers in (keys, keys[::-1], [keys[1], keys[1]]):
            answer = http.get("/v1/models", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
        assert http.get("/v1/models", headers=keys[1:]).status_code == 200


@pytest.mark.parametrize(
    ("base", "origin", "status"),
    [
        ("http://testserver", "http://testserver", 200),
        ("http://testserver:80", "http://testserver", 200),
        ("http://testserver", "https://testserver", 403),
        ("https://testserver", "http://testserver", 403),
        ("https://testserver", "https://testserver", 200),
        ("http://testserver:8000", "http://testserver:8001", 403),
    ],
)
def test_a_page_is_the_services_own_only_with_its_scheme(
    engine: LocalEngine, base: str, origin: str, status: int
) -> None:
    with TestClient(create_app(Settings(models=None, allowed_hosts=("testserver",)), engine), base) as http:
        answer = http.post("/v2/repository/index", headers={"Origin": origin})
    assert answer.status_code == status


@pytest.mark.parametrize("configured", ["*", PAGE, "HTTPS://Example.ORG", f"{PAGE}/"])
def test_a_page_that_is_let_in_may_change_and_read_all_answers(engine: LocalEngine, configured: str) -> None:
    settings = Settings(models=None, cors_origins=(configured,))
    with TestClient(create_app(settings, engine)) as http:
        page = {"Origin": PAGE}
        changed = http.post("/v1/images", content=SEVEN, headers={**PNG, **page})
        refused = http.get("/v1/models", headers={**page, "Host": "evil.example"})

    assert (changed.status_code, refused.status_code) == (201, 400)
    for answer in (changed, refused):
        assert answer.headers["access-control-allow-origin"] in {"*", PAGE}


def test_a_page_that_is_let_in_can_read_errors_of_the_connection_itself(engine: LocalEngine) -> None:
    settings = Settings(models=None, cors_origins=(PAGE,), limits=Limits(header_bytes=500))
    with served(create_app(settings, engine), settings) as address:
        for origin, is_let_in in ((PAGE, True), ("https://evil.example", False)):
            head = f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\n".encode()
            long = answers(address, head + b"X-Long: " + b"x" * 500 + b"\r\n\r\n")
            damaged = answers(address, head + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")

            assert long.startswith(b"HTTP/1.1 431 ")
            assert damaged.startswith(b"HTTP/1.1 400 ")
            for answer in (long, damaged):
                assert (f"access-control-allow-origin: {PAGE}".encode() in answer.lower()) is is_let_in


def test_a_page_that_is_let_in_can_read_that_the_service_failed(tmp_path) -> None:
    app = create_app(Settings(models=tmp_path, cors_origins=(PAGE,)))
    with TestClient(app, raise_server_exceptions=False) as http:
        # A fault of the kind that no code expects.
        del app.state.service
        answer = http.get("/v1/models", headers={"Origin": PAGE})
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/v1/models", "text/html", 406),
        ("/v1/models", "application/json;q=0, image/*", 406),
        ("/v1/models", "application/json", 200),
        ("/v1/models", "application/*", 200),
        ("/v1/models", "text/html, */*;q=0.1", 200),
        ("/v1/models", "", 200),
        (f"{FEATURE_MAP}?layer=conv1", "application/json", 406),
        (f"{FEATURE_MAP}?layer=conv1", "image/webp", 200),
        (f"{FEATURE_MAP}?layer=conv1", "image/avif, image/*", 200),
        (f"{ACTIVATIONS}?layers=conv1", "image/png", 406),
        (f"{ACTIVATIONS}?layers=conv1&format=npy", "image/png", 200),
        (f"{PREDICTIONS}?top=1", "application/x-npy", 406),
        ("/metrics", "application/json", 406),
        ("/metrics", "application/openmetrics-text;version=1.0.0", 200),
        ("/v2/health/live", "text/plain", 200),
    ],
)
def test_what_accept_does_not_allow_is_not_sent(
    http: TestClient, seven: str, path: str, accept: str, status: int
) -> None:
    url = f"{path}&image={seven}" if "digits" in path else path
    answer = http.get(url, headers={"Accept": accept})

    assert answer.status_code == status
    if status == 406:
        assert answer.json()["code"] == "not_acceptable"
