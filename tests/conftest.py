"""How the tests share their work between processes, one process that loads the models of all tests, and the figures of the soak."""

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says more of the machine than of the code.
settings.register_profile(
    "fuzz",
    settings.default,
    derandomize=False,
    deadline=None,
    max_examples=1_000,
    suppress_health_check=[HealthCheck.too_slow],
)
# The same examples in every run: a change is not blamed for what chance has found. New ones are for `make fuzz`.
settings.register_profile("same", settings.get_profile("fuzz"), derandomize=True, max_examples=100)
settings.load_profile("same")

# Services that tests start would compile all of Layerscope anew, each of them, and each worker the tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# The name under which Starlette's TestClient calls.
os.environ["LAYERSCOPE_ALLOWED_HOSTS"] = '["testserver"]'
# Each load opens its model, but where a test is about models that are kept.
os.environ["LAYERSCOPE_KEEP_PREPARED"] = "false"

_FOLDERS = ("tests/ui", "tests/service/attribution", "tests/clients", "tests/docs")
"""Each folder is run by one worker: its session fixtures take seconds. Elsewhere a file is."""

_LONGEST = (
    "tests/test_distributions.py",
    *_FOLDERS,
    "tests/api/test_http_uploads.py",
    "tests/service/graph/saved/test_graph_saved_model.py",
    "tests/service/graph/tracing/test_graph_differential.py",
    "tests/service/models/test_model_architectures.py",
    "tests/service/models/test_model_store.py",
)
"""They begin first: one that began last would run alone in the end."""

_FIGURES = Path(__file__).parents[1] / "benchmarks" / "results" / "soak.json"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--unmeasured", action="store_true", help="go on with a soak: leave out what there are figures of"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Gives each worker one unit after the other, in the order of the collection."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class Units(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _unit(nodeid)

    config.option.loadscopereorder = False
    return Units(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest units first."""
    places = {unit: place for place, unit in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(_unit(item.nodeid), len(places)))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is imported is in use until the end: hundreds of garbage collections need not look at it, one for each engine closed."""
    gc.freeze()


def _unit(nodeid: str) -> str:
    """The file of a test or, for some, its folder."""
    path = nodeid.partition("::")[0]
    if path in _LONGEST:
        return path
    return next((folder for folder in _FOLDERS if path.startswith(f"{folder}/")), path)


@pytest.fixture
def leave_out_measured(pytestconfig: pytest.Config) -> Callable[[str, str], None]:
    """Skips a case of a row that has figures already, for those who go on with a soak that was broken off."""

    def leave_out(row: str, case: str) -> None:
        if pytestconfig.getoption("unmeasured") and case in _measured().get(row, {}):
            pytest.skip("there are figures of it")

    return leave_out


@pytest.fixture
def keep_figures() -> Callable[..., None]:
    """Writes down what a test of the soak has measured, as its last line: the row of docs/explanation/robustness.md, which case of it, and figures."""

    def keep(row: str, case: str, **figures: float) -> None:
        kept = _measured()
        kept.setdefault(row, {})[case] = figures
        _FIGURES.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", "utf-8")

    return keep


def _measured() -> dict[str, dict[str, Any]]:
    kept: dict[str, dict[str, Any]] = json.loads(_FIGURES.read_text("utf-8")) if _FIGURES.is_file() else {}
    return kept


@pytest.fixture(scope="session", autouse=True)
def _one_loader() -> Iterator[None]:
    """Started by the first test that loads a model; the process of long runs likewise."""
    from layerscope.graph.loading.loader import SHARED_LOADER
    from layerscope.graph.remote.run_process import SHARED_RUN_PROCESS

    with SHARED_LOADER, SHARED_RUN_PROCESS:
        yield
