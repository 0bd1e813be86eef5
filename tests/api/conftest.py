"""The real service within this process: once over the demo model, once over models of every kind of wiring."""

from collections.abc import Iterator

import keras
import pytest
from served_models import Gallery, write_models
from starlette.testclient import TestClient

from layerscope.demo import MODELS, samples
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

SEVEN = samples()["seven"].read_bytes()


@pytest.fixture(scope="session")
def http() -> Iterator[TestClient]:
    """The service over the demo model."""
    with TestClient(create_app(Settings(models=None))) as http:
        yield http


@pytest.fixture(scope="session")
def digits() -> keras.Model:
    """The demo model as Keras opens it."""
    return keras.models.load_model(MODELS / "digits" / "1" / "model.keras")


@pytest.fixture
def seven(http: TestClient) -> str:
    """The id of a stored picture of a seven."""
    answer = http.post("/v1/images", content=SEVEN, headers={"Content-Type": "image/png"})
    return str(answer.json()["id"])


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """The service over models of every kind of wiring."""
    directory = tmp_path_factory.mktemp("models")
    examples = write_models(directory)
    with TestClient(create_app(Settings(models=directory))) as http:
        yield Gallery(http, examples)
