"""Which names the service answers to, which pages may change something, and what browsers are told."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from requests_made import FEATURE_MAP, PNG, PREDICTIONS, SEVEN
from starlette.testclient import TestClient

from layerscope.execution.local_engine import LocalEngine
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

ORIGIN = "https://example.org"
EVIL = "https://evil.example"
LIVE = "/v2/health/live"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    engine = LocalEngine(tmp_path_factory.mktemp("nothing"))
    engine.load_all()
    yield engine
    engine.close()


def status_for(engine: LocalEngine, name: str, **settings: object) -> int:
    with TestClient(create_app(Settings(models=None, **settings), engine)) as http:  # type: ignore[arg-type]
        return http.get(LIVE, headers={"Host": name}).status_code


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8000", "own.example:80"],
)
def test_h04_its_own_names_are_answered(engine: LocalEngine, host: str) -> None:
    assert status_for(engine, host, allowed_hosts=("Own.example",)) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "192.0.2.1",
        "",
        ":80",
        "localhost:x",
        "[::1",
        "[::1]x",
        "localhost, evil.example",
        "localhost@evil.example",
    ],
)
def test_h04_other_names_are_refused(engine: LocalEngine, host: str) -> None:
    assert status_for(engine, host) == 400


@pytest.mark.parametrize(
    ("host", "expected"), [("192.0.2.1:8000", 200), ("[2001:db8::1]:8000", 200), ("evil.example", 400)]
)
def test_on_every_address_no_name_can_be_pointed_elsewhere(
    engine: LocalEngine, host: str, expected: int
) -> None:
    assert status_for(engine, host, host="0.0.0.0") == expected  # noqa: S104


def test_all_names_are_answered_if_the_operator_says_so(engine: LocalEngine) -> None:
    assert status_for(engine, "anything.example", allowed_hosts=("*",)) == 200


@pytest.mark.parametrize("origin", [EVIL, "null", "http://testserver.evil.example", "http://testserver:8000"])
def test_h06_a_page_from_elsewhere_changes_nothing(http: TestClient, origin: str) -> None:
    changes = [http.post("/v1/images", content=SEVEN, headers={**PNG, "Origin": origin})]
    changes.append(http.delete("/v1/images/sha256-0", headers={"Origin": origin}))

    for answer in changes:
        assert answer.status_code == 403
        assert answer.json()["code"] == "origin_refused"


def test_h06_a_page_of_the_service_itself_may(http: TestClient) -> None:
    answer = http.post(PREDICTIONS, content=SEVEN, headers={**PNG, "Origin": "http://testserver"})

    assert answer.status_code == 200


def test_h06_a_preflight_is_answered_to_whom_is_let_in(engine: LocalEngine) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "Authorization"}
    with TestClient(create_app(Settings(models=None, cors_origins=(ORIGIN,)), engine)) as http:
        evil = http.options(PREDICTIONS, headers={**asks, "Origin": EVIL})
        good = http.options(PREDICTIONS, headers={**asks, "Origin": ORIGIN})

    assert "access-control-allow-origin" not in evil.headers
    assert good.status_code == 200
    assert good.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize("url", ["/docs", "/openapi.json", "/v1/models", "/v1/models/none", "/nowhere"])
def test_browsers_are_told_to_make_nothing_else_of_an_answer(http: TestClient, url: str) -> None:
    headers = http.get(url).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in headers["content-security-policy"]


def test_pictures_may_be_shown_by_pages_that_are_let_in(engine: LocalEngine) -> None:
    with TestClient(create_app(Settings(models=None, cors_origins=(ORIGIN,)), engine)) as http:
        assert http.get(FEATURE_MAP).headers["cross-origin-resource-policy"] == "cross-origin"


def test_the_pages_load_nothing_from_elsewhere(http: TestClient) -> None:
    page = http.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script>" not in page.text
    parts = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert set(parts) == {"/docs/docs.css", "/docs/docs.js", "/openapi.json"}
    for part in parts:
        answer = http.get(part)
        assert answer.status_code == 200
        assert "http://" not in answer.text
        assert "https://" not in answer.text
    assert http.get("/docs/docs.html").status_code == 422


def test_the_pages_are_served_as_they_lie_in_the_package(http: TestClient) -> None:
    folder = Path(__file__).parents[2] / "api" / "layerscope_api" / "explorer" / "docs"
    for path in ("docs.css", "docs.js"):
        assert http.get(f"/docs/{path}").content == (folder / path).read_bytes()
