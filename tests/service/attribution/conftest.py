from dataclasses import dataclass

import numpy as np
import pytest
from explained_models import Example, write_models

from layerscope.attribution import METHODS
from layerscope.execution.attributing import Attribution, AttributionQuery
from layerscope.execution.engine import LocalEngine
from layerscope.execution.inputs import TensorSource
from layerscope.limits import Limits


@dataclass
class Explained:
    """An engine over the examples."""

    engine: LocalEngine
    examples: dict[str, Example]

    def __call__(self, model, method, images, **options) -> Attribution:
        sources = {"image": [TensorSource(np.asarray(images, np.float32))]}
        chosen = METHODS[method].options(**options)
        return self.engine.attribute(
            AttributionQuery(model=model, sources=sources, method=METHODS[method], options=chosen)
        )


@pytest.fixture(scope="session")
def explained_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("explained")
    return directory, write_models(directory)


@pytest.fixture(scope="session")
def start(explained_directory):
    """Makes engines over the examples; all are closed in the end."""
    directory, examples = explained_directory
    engines = []

    def started(**limits):
        engine = LocalEngine(directory, Limits(**limits))
        engine.load_all()
        assert {entry.state for entry in engine.catalogue()} == {"ready"}
        engines.append(engine)
        return Explained(engine, examples)

    yield started
    for engine in engines:
        engine.close()


@pytest.fixture(scope="session")
def explain(start):
    return start()


@pytest.fixture(scope="session")
def explain_anew(start):
    """Keeps nothing that it computed."""
    return start(activation_cache_bytes=1)
