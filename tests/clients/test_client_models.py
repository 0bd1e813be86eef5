"""Upload, loading, labels and removal of models through the client, against the real service."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient

from layerscope.demo import MODELS, samples
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from layerscope_client import AsyncClient, Client, errors

DEMO = MODELS / "digits" / "1" / "model.keras"
DECLARATION = {"classes": [f"the {number}" for number in range(10)], "labels": ["new"]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    models = tmp_path_factory.mktemp("models")
    with TestClient(create_app(Settings(models=models, control="explicit", allow_upload=True))) as http:
        yield http


def test_a_model_from_its_file_to_its_end(service: TestClient) -> None:
    scope = Client(http=service)
    added = scope.add_model(DEMO, "mine", DECLARATION)
    assert (added["name"], added["version"], added["state"]) == ("mine", 1, "ready")
    assert added["file"]["parameters"] == 38_698
    assert scope.add_model(str(DEMO), "mine", DECLARATION) == added
    mine = scope.model("mine@1")
    best = mine.predictions(samples()["seven"])["outputs"][0]["predictions"]
    assert best is not None
    assert best[0][0]["name"] == "the 7"
    assert mine.set_label("stable") == {"new": 1, "stable": 1}
    scope.model("mine").remove_label("new")
    assert mine.unload()["state"] == "unloaded"
    with pytest.raises(errors.ModelNotLoaded):
        mine.describe()
    assert mine.load()["state"] == "ready"
    assert scope.model("mine@stable").describe()["labels"] == ["stable"]
    mine.remove()
    with pytest.raises(errors.ModelNotFound):
        mine.describe()


def test_what_is_refused(service: TestClient, tmp_path: Path) -> None:
    scope = Client(http=service)
    (tmp_path / "bad.keras").write_bytes(b"no model")
    with pytest.raises(errors.ModelUnreadable):
        scope.add_model(tmp_path / "bad.keras", "bad")
    with pytest.raises(FileNotFoundError):
        scope.add_model(tmp_path / "none.keras", "none")
    with pytest.raises(errors.OptionInvalid):
        scope.add_model(DEMO, "No Name")
    assert scope.models() == []


def test_awaited(service: TestClient) -> None:
    async def run() -> str:
        transport = httpx2.ASGITransport(service.app)
        async with AsyncClient(
            http=httpx2.AsyncClient(transport=transport, base_url="http://localhost")
        ) as scope:
            added = await scope.add_model(DEMO, "awaited", load=False)
            model = scope.model("awaited@1")
            await model.load()
            await model.set_label("stable")
            await scope.model("awaited").remove_label("stable")
            await model.unload()
            await model.remove()
            return added["state"]

    assert asyncio.run(run()) == "unloaded"
