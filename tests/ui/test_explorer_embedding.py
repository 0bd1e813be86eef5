"""The example of a page from elsewhere that shows a layer."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from explored_service import Served, needs_chromium
from playwright.sync_api import Browser

from layerscope.demo import samples
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

pytestmark = needs_chromium

EXAMPLE = Path(__file__).parents[2] / "examples" / "javascript"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The origin of another server, which has the example."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(EXAMPLE))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def visited(browser: Browser, address: str) -> list[str]:
    page = browser.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(address)
    page.wait_for_load_state("networkidle")
    if not problems:
        page.wait_for_selector("#layer option", state="attached")
        page.set_input_files("#file", samples()["seven"])
        page.wait_for_function(
            "() => document.getElementById('said').textContent.startsWith('1 x 28 x 28 x 1')"
        )
        page.select_option("#layer", "conv2")
        page.wait_for_function(
            "() => document.getElementById('said').textContent.startsWith('1 x 14 x 14 x 16')"
        )
        assert (
            page.evaluate(
                "() => document.getElementById('maps').decode().then(() => document.getElementById('maps').naturalWidth)"
            )
            > 14 * 4 * 4
        )
    page.context.close()
    return problems


def test_a_page_of_another_origin_that_is_let_in_shows_a_layer(
    browser: Browser, engine, models: Path, elsewhere: str
) -> None:
    served = Served(create_app(Settings(models=models, cors_origins=(elsewhere,)), engine))
    try:
        assert visited(browser, f"{elsewhere}/layer.html?service={served.address}") == []
    finally:
        served.stop()


def test_a_page_that_is_not_let_in_gets_nothing(browser: Browser, served: Served, elsewhere: str) -> None:
    problems = visited(browser, f"{elsewhere}/layer.html?service={served.address}")
    assert any("CORS" in each for each in problems)
