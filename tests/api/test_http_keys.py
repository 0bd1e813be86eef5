"""Keys and scopes: every route is closed to whoever has none, before a byte of the body is read."""

import asyncio
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from requests_made import PREDICTIONS, SEVEN
from starlette.testclient import TestClient
from starlette.types import Message

from layerscope.limits import Limits
from layerscope_api.context.api_keys import KeyFile, KeyScope
from layerscope_api.context.settings import Settings
from layerscope_api.middleware.authorization import is_open
from layerscope_api.server.app import create_app
from layerscope_client import Client, errors

READY = "/v2/health/ready"


@dataclass(frozen=True)
class Guarded:
    """A service with keys: `tokens` by scope."""

    http: TestClient
    app: FastAPI
    file: KeyFile
    path: Path
    tokens: dict[KeyScope, str]

    def send(self, method: str, path: str, token: str | None = None, **more: Any) -> Any:
        headers = more.pop("headers", {}) | ({} if token is None else {"Authorization": f"Bearer {token}"})
        return self.http.request(method, path, headers=headers, **more)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    file = KeyFile(path)
    tokens = {scope: file.create(f"one for {scope}", [scope])[1] for scope in KeyScope}
    app = create_app(Settings(models=None, api_keys=path, limits=Limits(requests_per_key=2)))
    with TestClient(app, raise_server_exceptions=False) as http:
        yield Guarded(http, app, file, path, tokens)


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of everything the application serves, with an example for each parameter."""
    found = [
        (method, re.sub(r"{[^}]*}", "digits", context.path or ""))
        for context in iter_route_contexts(app.routes)
        for method in context.methods or {"GET"}
    ]
    assert len(found) > 20
    return found


def test_a01_every_route_is_closed_without_a_key(guarded: Guarded) -> None:
    for method, path in routes(guarded.app):
        answer = guarded.send(method, path)
        if is_open(path):
            # Of the files of the explorer, none has the name of the example.
            assert answer.status_code == (404 if path.startswith("/ui/d") else 200)
            continue
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["code"] == "key_invalid"


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer ls_00000000_x",
        "Basic dXNlcjpwYXNz",
        "bearer \xff\xfe",
        "Bearer " + "x" * 10_000,
    ],
)
def test_a01_every_route_is_closed_to_a_wrong_key(guarded: Guarded, authorization: str) -> None:
    for method, path in routes(guarded.app):
        if not is_open(path):
            raw = {"Authorization": authorization.encode("latin-1")}
            answer = guarded.send(method, path, headers=raw)
            assert answer.status_code == 401, (method, path)
            assert authorization[7:] == "" or authorization[7:] not in answer.text


def test_a01_every_route_takes_the_key_of_its_scope_and_no_other(guarded: Guarded) -> None:
    for method, path in routes(guarded.app):
        if is_open(path) or method == "HEAD":
            continue
        statuses = {
            scope: guarded.send(method, path, token).status_code for scope, token in guarded.tokens.items()
        }
        assert len([status for status in statuses.values() if status not in {401, 403}]) == 1, (
            f"{method} {path} must declare one scope, see layerscope_api.middleware.authorization: {statuses}"
        )


def test_a01_a_route_that_declares_no_scope_is_closed(guarded: Guarded) -> None:
    app = create_app(Settings(models=None, api_keys=guarded.path))

    @app.get("/undeclared")
    async def undeclared() -> str:
        return "open"

    with TestClient(app) as http:
        answers = [
            http.get("/undeclared", headers={"Authorization": f"Bearer {token}"})
            for token in guarded.tokens.values()
        ]
        answers.append(http.get("/undeclared"))

    assert [answer.status_code for answer in answers] == [404] * len(KeyScope) + [401]


def test_a_key_that_may_not_is_told_what_it_lacks(guarded: Guarded) -> None:
    answer = guarded.send("GET", "/v1/models", guarded.tokens[KeyScope.METRICS])

    assert answer.status_code == 403
    assert answer.json()["code"] == "scope_missing"
    assert answer.json()["details"] == {"scopes": ["infer"]}
    assert 'error="insufficient_scope", scope="infer"' in answer.headers["www-authenticate"]


def test_what_is_not_there_and_what_is_not_taken(guarded: Guarded) -> None:
    token = guarded.tokens[KeyScope.INFER]
    assert guarded.send("GET", "/nowhere", token).json()["code"] == "not_found"
    answer = guarded.send("PUT", PREDICTIONS, token)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_the_contract_says_which_scope_a_route_needs(guarded: Guarded) -> None:
    document = guarded.app.openapi()

    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert ("security" in operation) is (not is_open(path))


def test_the_page_of_the_contract_opens_without_a_key_and_the_contract_does_not(guarded: Guarded) -> None:
    """A browser sends no key with an address: the page asks for one, see its script."""
    page = guarded.send("GET", "/docs")
    files = re.findall(r'(?:href|src)="(/docs/[^"]+)"', page.text)

    assert len(files) == 2
    assert [guarded.send("GET", each).status_code for each in files] == [200, 200]
    assert guarded.send("GET", "/openapi.json").status_code == 401
    assert guarded.send("GET", "/openapi.json", guarded.tokens[KeyScope.INFER]).status_code == 200


def test_h02_without_a_key_no_byte_of_the_body_is_read(guarded: Guarded) -> None:
    async def ask(method: str, path: str) -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            raise AssertionError("the body was read")

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"content-length", b"100000000")]
        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
        await guarded.app(scope, receive, send)
        return sent

    for method, path in routes(guarded.app):
        if not is_open(path):
            start, _ = asyncio.run(ask(method, path))
            assert start["status"] == 401
            assert (b"connection", b"close") in start["headers"]


def test_a_revoked_key_is_refused_at_once_and_a_new_one_is_let_in(guarded: Guarded) -> None:
    key, token = guarded.file.create("passing", [KeyScope.INFER])
    assert guarded.send("GET", "/v1/models", token).status_code == 200
    guarded.file.revoke(key.id)
    assert guarded.send("GET", "/v1/models", token).status_code == 401
    assert guarded.send("GET", "/v1/models", guarded.tokens[KeyScope.INFER]).status_code == 200


def test_a_key_ends_with_its_time(guarded: Guarded) -> None:
    _, token = guarded.file.create("over", [KeyScope.INFER], timedelta(seconds=-1))

    assert guarded.send("GET", "/v1/models", token).status_code == 401


@pytest.mark.parametrize("damaged", [b"", b"{}", b'{"keys": 1}', b"\xff\x00", None])
def test_a_damaged_file_lets_nobody_in(guarded: Guarded, damaged: bytes | None) -> None:
    content = guarded.path.read_bytes()
    token = guarded.tokens[KeyScope.INFER]
    try:
        guarded.path.unlink() if damaged is None else guarded.path.write_bytes(damaged)
        assert guarded.send("GET", "/v1/models", token).status_code == 401
        assert guarded.send("GET", READY).status_code == 200
    finally:
        guarded.path.write_bytes(content)
    assert guarded.send("GET", "/v1/models", token).status_code == 200


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir],
    ids=["pipe", "device", "folder"],
)
def test_what_is_no_regular_file_holds_no_keys(guarded: Guarded, make: Any) -> None:
    kept = guarded.path.rename(guarded.path.with_suffix(".kept"))
    try:
        make(guarded.path)
        assert guarded.send("GET", "/v1/models", guarded.tokens[KeyScope.INFER]).status_code == 401
        guarded.path.rmdir() if guarded.path.is_dir() else guarded.path.unlink()
    finally:
        kept.rename(guarded.path)
    assert guarded.send("GET", "/v1/models", guarded.tokens[KeyScope.INFER]).status_code == 200


def test_the_file_may_be_a_link_as_kubernetes_mounts_a_secret(guarded: Guarded) -> None:
    kept = guarded.path.rename(guarded.path.with_suffix(".kept"))
    guarded.path.symlink_to(kept)
    assert guarded.send("GET", "/v1/models", guarded.tokens[KeyScope.INFER]).status_code == 200
    kept.rename(guarded.path)


@pytest.mark.parametrize("sha256", ["ä" * 64, "x", "\ud83d\ude00", ""])
def test_a_key_whose_hash_is_none_lets_nobody_in(guarded: Guarded, sha256: str) -> None:
    content = guarded.path.read_text("utf-8")
    token = guarded.tokens[KeyScope.INFER]
    document = json.loads(content)
    for key in document["keys"]:
        key["sha256"] = sha256
    try:
        guarded.path.write_text(json.dumps(document), "utf-8")
        assert guarded.send("GET", "/v1/models", token).status_code == 401
    finally:
        guarded.path.write_text(content, "utf-8")


def test_a_key_has_so_many_requests_at_once(guarded: Guarded) -> None:
    _, other = guarded.file.create("other", [KeyScope.INFER])

    async def ask(token: str, gate: asyncio.Event) -> int:
        statuses: list[int] = []

        async def receive() -> Message:
            await gate.wait()
            return {"type": "http.request", "body": SEVEN}

        async def send(message: Message) -> None:
            statuses.append(message.get("status", 0))

        headers = [
            (b"host", b"localhost"),
            (b"authorization", f"Bearer {token}".encode()),
            (b"content-type", b"image/png"),
        ]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/images",
            "query_string": b"",
            "headers": headers,
        }
        await guarded.app(scope, receive, send)
        return statuses[0]

    async def at_once() -> tuple[list[int], int]:
        gate = asyncio.Event()
        token = guarded.tokens[KeyScope.INFER]
        waiting = [asyncio.create_task(ask(token, gate)) for _ in range(2)]
        await asyncio.sleep(0)
        refused = [await ask(token, gate) for _ in range(3)]
        stranger = asyncio.create_task(ask(other, gate))
        gate.set()
        admitted = [await each for each in (*waiting, stranger)]
        again = await ask(token, gate)
        return refused, max(*admitted, again)

    refused, worst_of_the_rest = asyncio.run(at_once())
    assert refused == [429, 429, 429]
    assert worst_of_the_rest < 300


def test_the_python_client_sends_its_key(guarded: Guarded) -> None:
    key, token = guarded.file.create("client", [KeyScope.INFER])
    scope = Client(api_key=token, http=guarded.http)

    assert scope.models()[0]["name"] == "digits"
    assert scope.model("digits").predictions(SEVEN)["outputs"][0]["predictions"][0][0]["class"] == 7
    guarded.file.revoke(key.id)
    with pytest.raises(errors.KeyInvalid):
        scope.models()
    with pytest.raises(errors.ScopeMissing):
        Client(api_key=guarded.tokens[KeyScope.METRICS], http=guarded.http).models()
    with pytest.raises(errors.KeyInvalid):
        Client(http=guarded.http).models()
