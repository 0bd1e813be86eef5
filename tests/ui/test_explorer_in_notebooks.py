"""The explorer that `layerscope.show` opens, in the frame that a notebook of this machine gives it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import keras
import numpy as np
import pytest
from explored_service import SCREENSHOTS, needs_chromium
from playwright.sync_api import Browser, Frame

import layerscope
from layerscope_api.live import LiveExplorer

pytestmark = needs_chromium

PIXELS = np.random.default_rng(3).integers(0, 256, (2, 40, 60, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def shown() -> Iterator[LiveExplorer]:
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.GlobalAveragePooling2D(name="pool"),
            keras.layers.Dense(3, activation="softmax", name="scores"),
        ],
        name="live",
    )
    with layerscope.show(model, PIXELS, classes=["cat", "dog", "cup"], preprocessing="unit") as explorer:
        yield explorer


@pytest.fixture
def notebook(shown: LiveExplorer) -> Iterator[str]:
    """The address of a page with the output of a cell."""

    class Notebook(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<!doctype html><title>notebook</title><body>{shown._repr_html_()}".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Notebook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


def test_the_frame_shows_the_model_and_the_images_of_the_caller(
    browser: Browser, notebook: str, shown: LiveExplorer
) -> None:
    page = browser.new_page(viewport={"width": 1000, "height": 860})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(notebook)
    page.wait_for_selector("iframe")
    frame = page.frame(url=f"{shown.address}*")
    assert isinstance(frame, Frame)
    frame.wait_for_selector("#predictions >> text=cup")
    frame.wait_for_selector("#layers li[data-address=conv] img, #layers li[data-address=conv] canvas")
    assert [each.get_attribute("aria-label") for each in frame.locator("#images button").all()] == [
        "image 1",
        "image 2",
    ]
    assert frame.is_hidden("#assumed")
    page.screenshot(path=SCREENSHOTS / "notebook.png")
    assert [each for each in problems if "favicon" not in each] == []
    page.close()
