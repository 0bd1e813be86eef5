import pytest
from engine_models import write_models

from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits
from layerscope.models.control import Control


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    write_models(directory)
    return directory


@pytest.fixture(scope="session")
def start_engine(model_directory):
    """Makes engines that share one directory, with all models or with those named; all are closed in the end."""
    engines = []

    def start(*names, **limits):
        control = Control(mode="explicit", start=names) if names else None
        engine = LocalEngine(model_directory, Limits(**limits), control=control)
        engine.load_all()
        engines.append(engine)
        return engine

    yield start
    for engine in engines:
        engine.close()


@pytest.fixture(scope="session")
def shared_engine(start_engine):
    return start_engine()
