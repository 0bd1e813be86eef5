"""One service over models of every kind, and one browser, for all tests of a module."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from explored_models import write_models
from explored_service import CHROMIUM, Served, Visit
from playwright.sync_api import Browser, sync_playwright

from layerscope.execution.local_engine import LocalEngine
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app, local_engine

Visitor = Callable[..., Visit]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("explored")
    write_models(directory)
    return directory


@pytest.fixture(scope="session")
def engine(models: Path) -> Iterator[LocalEngine]:
    engine = local_engine(Settings(models=models))
    engine.load_all()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def served(engine: LocalEngine, models: Path) -> Iterator[Served]:
    service = Served(create_app(Settings(models=models), engine))
    yield service
    service.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "Install Chromium: apt install chromium"
    with sync_playwright() as playwright:
        # The sandbox of Chromium does not start as root, which CI is.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, served: Served) -> Iterator[Visitor]:
    """Open the explorer in a new window. No test may cause an error on the console."""
    visits: list[tuple[Visit, bool]] = []

    def opened(
        link: str = "",
        *,
        path: str = "/ui/",
        address: str | None = None,
        size: tuple[int, int] = (1440, 900),
        scheme: str = "light",
        script: str = "",
        may_fail: bool = False,
    ) -> Visit:
        width, height = size
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.set_default_timeout(20_000)
        page.add_init_script(script)
        visit = Visit(page, address or served.address)
        visits.append((visit, may_fail))
        return visit.open(link, path)

    yield opened
    for visit, may_fail in visits:
        visit.page.context.close()
        assert may_fail or visit.problems == []
