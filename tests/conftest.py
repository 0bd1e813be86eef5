"""One process opens the models of all tests: each would import TensorFlow anew."""

import os
from collections.abc import Iterator

import pytest

# The name under which Starlette's TestClient calls.
os.environ["LAYERSCOPE_ALLOWED_HOSTS"] = '["testserver"]'


@pytest.fixture(scope="session", autouse=True)
def _one_loader() -> Iterator[None]:
    """Started by the first test that loads a model."""
    from layerscope.graph.loading import SHARED_LOADER

    with SHARED_LOADER:
        yield
