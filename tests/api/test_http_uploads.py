"""Models that are sent: checked, tried, stored whole or not at all, and served. M01, M06, M10, M12, M13 over HTTP."""

import asyncio
import io
import json
import resource
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest
from requests_made import PNG, SEVEN
from sent_models import BINARY, DECLARATION, DEMO, UPLOAD, Store, demo_with, saved, started
from starlette.testclient import TestClient
from starlette.types import Message


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with started(tmp_path_factory.mktemp("models")) as store:
        yield store


@pytest.fixture(autouse=True)
def _nothing_is_left(store: Store) -> Iterator[None]:
    yield
    assert list((store.models / ".incoming").iterdir()) == []


def test_a_model_is_sent_and_answers(store: Store) -> None:
    answer = store.send(DEMO, "first", declaration=json.dumps(DECLARATION))
    assert (answer.status_code, answer.headers["location"]) == (201, "/v1/models/first@1")
    body = answer.json()
    assert (body["name"], body["version"], body["state"]) == ("first", 1, "ready")
    assert (body["file"]["parameters"], body["file"]["layers"]["Conv2D"]) == (38_698, 3)
    assert store.predicted("first").json()["outputs"][0]["predictions"][0][0]["name"] == "7"
    assert store.http.get(answer.headers["location"]).json()["digest"] == body["digest"]
    assert {"first/1/model.keras", "first/1/layerscope.json", "first/1/accepted.json"} <= store.tree()


def test_m12_the_same_again_and_another(store: Store) -> None:
    first = store.send(DEMO, "again")
    again = store.send(DEMO, "again")
    other = store.send(demo_with(np.negative), "again")
    assert [answer.status_code for answer in (first, again, other)] == [201, 200, 201]
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert other.headers["location"] == "/v1/models/again@2"
    assert store.predicted("again").headers["x-model"] == "again@2"
    assert store.predicted("again@1").status_code == 200


def test_m12_eight_at_once(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: store.send(DEMO, "rush"), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert store.versions("rush") == {1: "ready"}


def test_a_form_and_a_model_that_is_not_loaded(store: Store) -> None:
    files = {
        "model": ("anything.keras", DEMO),
        "declaration": ("layerscope.json", json.dumps({"classes": list("abcdefghij"), "labels": ["stable"]})),
    }
    answer = store.send_form(files, name="formed", load="false")
    assert (answer.status_code, answer.json()["state"]) == (201, "unloaded")
    assert store.predicted("formed").json()["code"] == "model_not_loaded"
    assert store.http.post("/v1/models/formed/load").status_code == 200
    assert store.http.get("/v1/models/formed@stable").json()["classes"] == list("abcdefghij")
    again = store.send_form({"model": ("x", DEMO)}, name="formed", declaration=files["declaration"][1])
    assert (again.status_code, again.json()["state"]) == (200, "ready")


def test_m10_weights_that_are_no_numbers(store: Store) -> None:
    answer = store.send(demo_with(lambda weights: np.full_like(weights, np.nan)), "nan")
    assert answer.status_code == 201
    assert "NaN" in answer.json()["file"]["warnings"][0]
    assert store.predicted("nan").status_code == 200
    for what in (
        "activations?layers=all",
        "statistics",
        "feature-map.png?layer=conv1",
        "attributions/gradcam.png",
    ):
        answer = store.http.post(f"/v1/models/nan/{what}", content=SEVEN, headers=PNG)
        assert answer.status_code in {200, 422}, (what, answer.text[:300])


def lambda_model() -> bytes:
    start = keras.Input((4,))
    return saved(keras.Model(start, keras.layers.Lambda(lambda x: x)(start)))


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


REFUSED = {
    "M01 code": (lambda_model, 422, "layer_not_allowed"),
    "M06 empty": (lambda: b"", 422, "model_unreadable"),
    "M06 random": (lambda: bytes(range(256)) * 9, 422, "model_unreadable"),
    "M06 truncated": (lambda: DEMO[:-99], 422, "model_unreadable"),
    "M06 a zip of something": (lambda: zipped(a=b"b"), 422, "model_unreadable"),
    "a SavedModel": (lambda: zipped(**{"m/saved_model.pb": b""}), 415, "unsupported_format"),
}


@pytest.mark.parametrize(("content", "status", "code"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_leaves_nothing(store: Store, content: Any, status: int, code: str) -> None:
    before = store.tree()
    answer = store.send(content(), "refused")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert store.tree() == before
    assert store.versions("refused") == {}
    assert str(store.models) not in answer.text


BAD = {
    "no name": ({}, 422, "option_invalid"),
    "a path": ({"name": "../x"}, 422, "option_invalid"),
    "a reserved name": ({"name": "stats"}, 422, "option_invalid"),
    "an unknown option": ({"name": "x", "version": "3"}, 422, "option_invalid"),
    "no truth": ({"name": "x", "load": "perhaps"}, 422, "option_invalid"),
    "no JSON": ({"name": "x", "declaration": "{"}, 422, "model_refused"),
    "a plugin": ({"name": "x", "declaration": '{"plugins": ["x.py"]}'}, 422, "model_refused"),
    "weights": ({"name": "x", "declaration": '{"weights": "/etc/passwd"}'}, 422, "model_refused"),
    "an unknown field": ({"name": "x", "declaration": '{"code": 1}'}, 422, "model_refused"),
    "another input": ({"name": "x", "declaration": '{"inputs": {"other": {}}}'}, 422, "model_refused"),
    "other images": (
        {"name": "x", "declaration": '{"preprocessing": {"preset": "unit", "size": [9, 9]}}'},
        422,
        "model_refused",
    ),
    "no layer to warm up": ({"name": "x", "declaration": '{"warm_up": ["none"]}'}, 422, "model_refused"),
}


@pytest.mark.parametrize(("options", "status", "code"), BAD.values(), ids=BAD)
def test_what_is_said_wrongly(store: Store, options: dict[str, str], status: int, code: str) -> None:
    before = store.tree()
    answer = store.http.post("/v1/models", content=DEMO, headers=BINARY, params=options)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert store.tree() == before


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        ({"file": ("m.keras", DEMO)}, 400, "invalid_request"),
        ([("model", ("a.keras", DEMO)), ("model", ("b.keras", DEMO))], 400, "invalid_request"),
        ({"model": ("m.h5", DEMO)}, 422, "model_unreadable"),
        ({"model": ("m.pb", DEMO)}, 415, "unsupported_format"),
        ({"model": ("m.keras", DEMO), "declaration": ("d", b"\xff")}, 400, "invalid_request"),
    ],
    ids=["no file", "two files", "M06 another suffix", "a SavedModel", "no text"],
)
def test_forms_that_are_wrong(store: Store, files: Any, status: int, code: str) -> None:
    before = store.tree()
    answer = store.send_form(files, name="wrong")
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert store.tree() == before


def test_a_content_type_that_no_model_has(store: Store) -> None:
    answer = store.send(SEVEN, "x", headers=PNG)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_format")


def test_a_version_is_removed(store: Store) -> None:
    for content in (DEMO, demo_with(np.negative)):
        assert store.send(content, "gone").status_code == 201
    assert store.http.delete("/v1/models/gone").json()["code"] == "option_invalid"
    assert store.http.delete("/v1/models/gone@2").status_code == 204
    assert store.versions("gone") == {1: "ready"}
    assert store.http.delete("/v1/models/gone@2").json()["code"] == "model_not_found"
    assert store.http.put("/v1/models/gone@1/labels/stable").status_code == 200
    assert store.http.delete("/v1/models/gone@1").status_code == 204
    assert store.predicted("gone@stable").status_code == 404
    assert not any(name.startswith("gone/") and "model" in name for name in store.tree())
    again = store.send(DEMO, "gone")
    assert again.headers["location"] == "/v1/models/gone@3"


def test_what_was_put_there_by_hand_is_not_removed(store: Store) -> None:
    (store.models / "hand" / "1").mkdir(parents=True)
    (store.models / "hand" / "1" / "model.keras").write_bytes(DEMO)
    assert store.http.post("/v1/models/hand/load").status_code == 200
    answer = store.http.delete("/v1/models/hand@1")
    assert (answer.status_code, answer.json()["code"]) == (409, "control_refused")
    assert store.predicted("hand").status_code == 200


def test_m13_no_room_on_the_disk(store: Store) -> None:
    """As the system says it where a file may not be longer."""
    before, (soft, hard) = store.tree(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        declared = store.send(DEMO, "full")
        streamed = store.send_form({"model": ("m.keras", DEMO)}, name="full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for answer in (declared, streamed):
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
    assert store.tree() == before
    assert store.send(DEMO, "full").status_code == 201


def test_a_service_that_takes_no_models(http: TestClient) -> None:
    """It says so before it reads any."""

    def content() -> Iterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    async def ask() -> Message:
        sent: list[Message] = []

        async def receive() -> Message:
            raise AssertionError("the body was read")

        async def send(message: Message) -> None:
            sent.append(message)

        await http.app({**UPLOAD}, receive, send)
        return sent[0]

    assert asyncio.run(ask())["status"] == 409
    answer = http.delete("/v1/models/digits@1")
    assert (answer.status_code, answer.json()["details"]) == (409, {"allow_upload": False})
    assert http.get("/v1/models/digits").status_code == 200


def test_who_goes_away_while_sending_leaves_nothing(store: Store) -> None:
    before = store.tree()

    async def ask() -> list[Message]:
        parts: list[Message] = [
            {"type": "http.request", "body": DEMO[:100_000], "more_body": True},
            {"type": "http.disconnect"},
        ]
        sent: list[Message] = []

        async def receive() -> Message:
            return parts.pop(0)

        async def send(message: Message) -> None:
            sent.append(message)

        await store.http.app({**UPLOAD}, receive, send)
        return sent

    assert asyncio.run(ask()) == []
    assert store.tree() == before
