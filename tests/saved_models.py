"""Models of a test as a model directory, and an engine over such a directory."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from layerscope.execution.local_engine import LocalEngine


def save_models(directory: Path, models: Mapping[str, Any]) -> None:
    """Save Keras models, each as version 1 of its name."""
    for name, model in models.items():
        (directory / name / "1").mkdir(parents=True)
        model.save(directory / name / "1" / "model.keras")


@contextmanager
def engine_over(directory: Path) -> Iterator[LocalEngine]:
    """An engine with the models of a directory, until the block ends."""
    with closing(LocalEngine(directory)) as engine:
        engine.load_all()
        yield engine
