"""One process opens the models of all tests: each would import TensorFlow anew."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_loader() -> Iterator[None]:
    """Started by the first test that loads a model."""
    from layerscope.graph.loading import SHARED_LOADER

    with SHARED_LOADER:
        yield
