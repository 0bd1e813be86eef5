"""Jobs over a few digits, and the rows that single requests give."""

import pytest

from digit_images import write_digits
from layerscope.extraction.extractor import engine_for
from layerscope.extraction.planning import Request, planned
from layerscope.extraction.runners.here import Here
from layerscope.graph.loading.prepared_files import PreparedFiles
from layerscope.limits import MIB
from layerscope.tensors.options import TensorOptions

LAYERS = ("conv1", "probabilities")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Where the demo model is opened once for all jobs."""
    return PreparedFiles(tmp_path_factory.mktemp("prepared"), 64 * MIB, 60)


@pytest.fixture(scope="session")
def engine(prepared):
    with engine_for(None, "digits", trusted=False, prepared=prepared) as made:
        yield made


@pytest.fixture(scope="session")
def here(prepared, engine):
    """A runner that does jobs with the demo model that is open already."""
    return Here(prepared, engine)


@pytest.fixture
def digits(tmp_path):
    """A folder of ten digits."""
    return write_digits(tmp_path / "digits")


@pytest.fixture
def plan(prepared, tmp_path):
    """Plans a job over a data set, in parts of four images."""

    def make(data, to="out", **changed):
        asked = {
            "models": None,
            "model": "digits",
            "layers": LAYERS,
            "options": TensorOptions(reduce="mean"),
            "format": "safetensors",
            "shard_images": 4,
        }
        where = to if "://" in to else str(tmp_path / to)
        return planned(Request(data=str(data), **(asked | changed)), where, prepared)

    return make
