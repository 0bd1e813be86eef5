"""Uploads where there is no room, no time or no directory, and after a restart."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from requests_made import PNG
from sent_models import DEMO, Store, demo_with, started
from starlette.testclient import TestClient

from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app


def test_m13_no_room_under_the_quota(tmp_path: Path) -> None:
    quota = 2 * len(DEMO) + 50_000
    with started(tmp_path, model_store_bytes=quota) as store:
        assert store.send(DEMO, "one").status_code == 201
        assert store.send(DEMO, "twin").status_code == 201, "it is stored once"
        assert store.send(demo_with(np.negative), "other").status_code == 201
        before = store.tree()
        answer = store.send(DEMO, "full")
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
        assert answer.json()["details"]["limit"] == quota
        assert store.tree() == before
        assert store.predicted("one").status_code == 200
        assert store.http.delete("/v1/models/other@1").status_code == 204
        assert store.send(DEMO, "full").status_code == 201


def test_h02_a_body_that_is_longer_than_any_model(tmp_path: Path) -> None:
    with started(tmp_path, model_file_bytes=100_000, body_bytes=1_000) as store:
        long = b"PK\x03\x04" + bytes(2 << 20)
        for content in (long, iter([long])):
            answer = store.send(content, "long")
            assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
            assert answer.headers["connection"] == "close"
        answer = store.send(DEMO, "long")
        assert (answer.status_code, answer.json()["code"]) == (422, "model_too_large")
        assert store.http.post("/v1/images", content=bytes(2_000), headers=PNG).status_code == 413
        assert store.tree() == {".incoming"}


@pytest.mark.wide
def test_what_is_answered_with_504_is_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes its time: when the answer is due, the model is written, and only has to be moved to its place."""
    flush, answered = os.fsync, threading.Event()

    def slow(descriptor: int) -> None:
        assert answered.wait(120)
        flush(descriptor)

    with started(tmp_path, model_check_seconds=6, model_open_seconds=6) as store:
        monkeypatch.setattr(os, "fsync", slow)
        answer = store.send(DEMO, "late")
        answered.set()
        assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    # The service has ended all that it had begun.
    assert store.tree() == {".incoming"}


def test_m13_a_directory_that_is_gone(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    with started(models) as store:
        (models / ".incoming").rmdir()
        assert store.send(DEMO, "first").status_code == 201, "it is made again"
        models.rename(tmp_path / "elsewhere")
        for answer in (
            store.send(DEMO, "second"),
            store.send_form({"model": ("m.keras", DEMO)}, name="second"),
            store.http.post("/v1/models/first/load"),
            store.http.delete("/v1/models/first@1"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (503, "source_unreachable"), answer.text
        assert store.predicted("first").status_code == 200
        assert not models.exists()
        (tmp_path / "elsewhere").rename(models)
        assert store.send(DEMO, "first").status_code == 200


def test_r04_what_was_sent_is_there_after_a_restart(tmp_path: Path) -> None:
    with started(tmp_path) as store:
        store.send(DEMO, "kept")
        store.http.put("/v1/models/kept@1/labels/stable")
        answer = store.predicted("kept")
    settings = Settings(models=tmp_path)
    with TestClient(create_app(settings)) as http:
        again = Store(http, tmp_path).predicted("kept@stable")
        assert again.json() == answer.json()
        assert again.headers["x-model-digest"] == answer.headers["x-model-digest"]
