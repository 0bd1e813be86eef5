"""The real service with its demo model, in the process of the tests."""

import socket
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from layerscope_client import Client, Model


@pytest.fixture(scope="session")
def http() -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models=None))) as http:
        yield http


@pytest.fixture
def scope(http: TestClient) -> Client:
    return Client(http=http)


@pytest.fixture
def digits(scope: Client) -> Model:
    return scope.model("digits")


@pytest.fixture
def unused_port() -> int:
    """A port on which no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
