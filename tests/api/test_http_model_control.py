"""Models are loaded, replaced and unloaded while the service answers, and labels follow."""

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pytest
from requests_made import PNG, SEVEN
from starlette.testclient import TestClient

from layerscope.demo import MODELS
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

DEMO = MODELS / "digits" / "1" / "model.keras"


@dataclass(frozen=True)
class Explicit:
    """A service that is told what to load, and its directory."""

    http: TestClient
    models: Path

    def place(self, name: str, version: int, **declaration: Any) -> Path:
        folder = self.models / name / str(version)
        folder.mkdir(parents=True)
        shutil.copy(DEMO, folder / "model.keras")
        if declaration:
            (folder / "layerscope.json").write_text(json.dumps(declaration), "utf-8")
        return folder

    def post(self, path: str) -> Any:
        return self.http.post(f"/v1/models/{path}")

    def values(self, model: str) -> Any:
        return self.http.post(
            f"/v1/models/{model}/activations?layers=outputs&format=npy", content=SEVEN, headers=PNG
        )

    def listed(self, name: str) -> dict[int, str]:
        (row,) = [row for row in self.http.get("/v1/models").json()["models"] if row["name"] == name]
        return {each["version"]: each["state"] for each in row["versions"]}

    def labels(self, name: str) -> dict[str, int]:
        (row,) = [row for row in self.http.get("/v1/models").json()["models"] if row["name"] == name]
        labels: dict[str, int] = row["labels"]
        return labels


@pytest.fixture(scope="module")
def explicit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explicit]:
    models = tmp_path_factory.mktemp("models")
    with TestClient(create_app(Settings(models=models, control="explicit"))) as http:
        yield Explicit(http, models)


def test_a_model_is_loaded_and_unloaded(explicit: Explicit) -> None:
    explicit.place("one", 1)
    assert explicit.post("one/load").json() == {
        "name": "one",
        "version": 1,
        "opened_with": f"keras {keras.__version__}",
        "state": "ready",
        "reason": None,
        **{
            name: explicit.http.get("/v1/models/one").json()[name]
            for name in ("digest", "memory_bytes", "inputs")
        },
    }
    before = explicit.values("one").content
    answer = explicit.post("one@1/unload")
    assert (answer.status_code, answer.json()["state"]) == (200, "unloaded")
    assert explicit.listed("one") == {1: "unloaded"}
    refused = explicit.values("one")
    assert (refused.status_code, refused.json()["code"]) == (409, "model_not_loaded")
    assert explicit.post("one@1/unload").json()["state"] == "unloaded"
    assert explicit.post("one/load").status_code == 200
    assert explicit.values("one").content == before


def test_what_cannot_be_loaded_says_why_and_costs_the_others_nothing(explicit: Explicit) -> None:
    explicit.place("good", 1)
    explicit.post("good/load")
    (explicit.place("bad", 1) / "model.keras").write_bytes(b"no model")
    answer = explicit.post("bad/load")
    assert (answer.status_code, answer.json()["code"]) == (422, "model_refused")
    assert explicit.listed("bad") == {1: "failed"}
    assert explicit.values("good").status_code == 200
    for path in ("none/load", "none/unload", "good@7/load", "good@canary/load"):
        answer = explicit.post(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")


def test_labels_follow(explicit: Explicit) -> None:
    for version in (1, 2):
        explicit.place("labelled", version)
        explicit.post(f"labelled@{version}/load")
    explicit.place("labelled", 3)
    address = "/v1/models/labelled"
    assert explicit.http.put(f"{address}@1/labels/default").json() == {
        "name": "labelled",
        "labels": {"default": 1},
    }
    assert explicit.values("labelled").headers["x-model"] == "labelled@1"
    explicit.http.put(f"{address}@2/labels/default")
    assert explicit.values("labelled").headers["x-model"] == "labelled@2"
    assert explicit.http.put(f"{address}@3/labels/default").json()["code"] == "model_not_found"
    explicit.post("labelled@3/load")
    explicit.post("labelled@3/unload")
    assert explicit.http.put(f"{address}@3/labels/default").json()["code"] == "model_not_loaded"
    assert explicit.labels("labelled") == {"default": 2}
    assert explicit.http.put(f"{address}@2/labels/2").status_code == 422
    assert explicit.http.delete(f"{address}/labels/default").status_code == 204
    assert explicit.http.delete(f"{address}/labels/default").status_code == 404
    assert explicit.values("labelled").headers["x-model"] == "labelled@2"


def test_r05_a_model_is_replaced_while_it_answers(explicit: Explicit) -> None:
    """No request fails, and each is answered by exactly one of the two."""
    folder = explicit.place("busy", 1)
    explicit.post("busy/load")
    model = keras.models.load_model(DEMO)
    model.set_weights([-weights for weights in model.get_weights()])
    files = [DEMO, folder.parent / "other.keras"]
    model.save(files[1])
    answers: list[Any] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            answers.append(explicit.values("busy"))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for file in (files * 3)[1:]:
        shutil.copy(file, folder / "model.keras")
        assert explicit.post("busy/load").status_code == 200
    ended.set()
    for asker in askers:
        asker.join()
    assert {answer.status_code for answer in answers} == {200}
    values: dict[str, set[bytes]] = {}
    for answer in answers:
        values.setdefault(answer.headers["x-model-digest"], set()).add(answer.content)
    assert [len(each) for each in values.values()] == [1, 1]
    assert len(set.union(*values.values())) == 2


def test_models_beyond_the_memory_they_may_take_make_way(tmp_path: Path) -> None:
    with TestClient(
        create_app(Settings(models=tmp_path, control="explicit", limits=Limits(models_bytes=2 * 154_792)))
    ) as http:
        explicit = Explicit(http, tmp_path)
        for name in "abc":
            explicit.place(name, 1)
        for name in "aba":
            explicit.post(f"{name}/load")
        assert explicit.values("a").status_code == 200
        explicit.post("c/load")
        states = {name: explicit.listed(name)[1] for name in "abc"}
        assert states == {"a": "ready", "b": "unloaded", "c": "ready"}
        assert "made way for another" in explicit.values("b").json()["error"]


def test_a_service_that_takes_no_orders(http: TestClient) -> None:
    for method, path in (("POST", "load"), ("POST", "unload"), ("PUT", "labels/x"), ("DELETE", "labels/x")):
        answer = http.request(method, f"/v1/models/digits/{path}")
        assert (answer.status_code, answer.json()["code"]) == (409, "control_refused")
        assert answer.json()["details"] == {"control": "none"}
    assert http.get("/v1/models/digits").status_code == 200
