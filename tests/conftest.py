"""One process opens the models of all tests: each would import TensorFlow anew. And what the soak measures is kept."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The name under which Starlette's TestClient calls.
os.environ["LAYERSCOPE_ALLOWED_HOSTS"] = '["testserver"]'

_FIGURES = Path(__file__).parents[1] / "benchmarks" / "results" / "soak.json"


@pytest.fixture
def keep_figures() -> Callable[..., None]:
    """Writes down what a test of the soak has measured, as its last line: the row of docs/robustness.md, which case of it, and figures."""

    def keep(row: str, case: str, **figures: float) -> None:
        kept = json.loads(_FIGURES.read_text("utf-8")) if _FIGURES.is_file() else {}
        kept.setdefault(row, {})[case] = figures
        _FIGURES.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", "utf-8")

    return keep


@pytest.fixture(scope="session", autouse=True)
def _one_loader() -> Iterator[None]:
    """Started by the first test that loads a model."""
    from layerscope.graph.loading import SHARED_LOADER

    with SHARED_LOADER:
        yield
