import shutil

import pytest
from explained_models import Explained, write_models

from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits


@pytest.fixture(scope="session")
def explained_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("explained")
    return directory, write_models(directory)


@pytest.fixture(scope="session")
def start(explained_directory, tmp_path_factory):
    """Makes engines over all examples or, sooner, over some; all are closed in the end."""
    directory, examples = explained_directory
    engines = []

    def started(*names, **limits):
        chosen = directory
        if names:
            chosen = tmp_path_factory.mktemp("some")
            for name in names:
                shutil.copytree(directory / name, chosen / name)
        engine = LocalEngine(chosen, Limits(**limits))
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
    return start("plain", "hidden_softmax", "segments", activation_cache_bytes=1)
