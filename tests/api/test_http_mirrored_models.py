"""A service whose models lie at a URL."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from layerscope.demo import MODELS
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "place"
    shutil.copytree(MODELS, place)
    return place


@pytest.fixture
def http(place: Path, tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(
        models=place.as_uri(), models_cache=tmp_path / "cache", control="explicit", load=("*",)
    )
    with TestClient(create_app(settings)) as http:
        yield http


def test_models_at_a_url_are_served_and_a_place_that_is_away_is_told(http: TestClient, place: Path) -> None:
    listed = http.get("/v1/models").json()
    assert listed["trouble"] is None
    assert listed["models"][0]["versions"][0]["state"] == "ready"
    place.rename(place.with_name("away"))
    refused = http.post("/v1/models/digits/load")
    assert (refused.status_code, refused.json()["code"]) == (503, "source_unreachable")
    assert http.get("/v1/models").json()["trouble"] == f"There is nothing at {place.as_uri()}."
    assert http.get("/v1/models/digits/layers").status_code == 200
    place.with_name("away").rename(place)
    assert http.post("/v1/models/digits/load").status_code == 200
    assert http.get("/v1/models").json()["trouble"] is None


def test_models_are_not_sent_to_a_url() -> None:
    with pytest.raises(ValidationError, match="directory of this machine"):
        Settings(models="memory://models", allow_upload=True)
