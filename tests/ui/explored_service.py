"""A service that can be stopped and started again at the same address, and a page of it in a browser."""

import os
import shutil
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import ConsoleMessage, Page
from starlette.types import ASGIApp, Receive, Scope, Send

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"

AXE = Path(__file__).parents[2] / "clients" / "js" / "node_modules" / "axe-core" / "axe.min.js"

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ,
    reason="no Chromium here: the explorer was NOT tested. Install it (apt install chromium) and run make test again.",
)


DRAWING = """selector => {
    const canvas = document.querySelector(selector);
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return new Uint32Array(data.buffer).reduce((hash, pixel) => (Math.imul(hash, 31) + pixel) | 0, 0);
}"""
"""One number for all pixels of a canvas."""


class Served:
    """An application, served by a thread."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._port = 0
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        listener = socket.create_server(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        self._server = uvicorn.Server(uvicorn.Config(self._app, log_level="warning", lifespan="on"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]})
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


class Behind:
    """A proxy that serves the service below a path."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(self._prefix):
            scope = {**scope, "path": scope["path"].removeprefix(self._prefix)}
        await self._app(scope, receive, send)


class Visit:
    """A page of the explorer, with its requests and its console."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.requests: list[tuple[str, str]] = []
        self.problems: list[str] = []
        page.on("request", self._note)
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    def open(self, link: str = "", path: str = "/ui/") -> "Visit":
        self.page.goto(self.address + path + link)
        return self.settled()

    def settled(self) -> "Visit":
        """Wait until all requests are answered and drawn."""
        self.page.wait_for_load_state("networkidle")
        return self

    def shows(self, title: str) -> "Visit":
        """Wait until a layer is shown and drawn. Its title is shown before it is drawn."""
        is_drawn = "document.getElementById('layer-title').textContent === given && !document.body.classList.contains('waiting')"
        self.until(is_drawn, title)
        return self.settled()

    def until(self, expression: str, given: Any = None) -> None:
        """Wait until an expression is true. It is passed as a function, since the page's policy forbids to evaluate text."""
        self.page.wait_for_function(f"given => {expression}", arg=given)

    def requests_for(self, part: str) -> list[str]:
        return [url for _, url in self.requests if part in url]

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector).strip()

    def colours(self, selector: str) -> int:
        """How many different colours a canvas has: one where nothing is drawn."""
        script = """selector => {
            const canvas = document.querySelector(selector);
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return new Set(new Uint32Array(data.buffer)).size;
        }"""
        return int(self.page.evaluate(script, selector))

    def drawing(self, selector: str) -> int:
        """What a canvas shows, as a number to compare."""
        return int(self.page.evaluate(DRAWING, selector))

    def draws_other_than(self, drawing: int, selector: str) -> None:
        """Wait until a canvas shows something else."""
        self.until(f"({DRAWING})('{selector}') !== given", drawing)

    def axe_failures(self) -> list[tuple[str, str, list[str]]]:
        """What axe finds wrong: rule, help, and the first elements."""
        self.page.evaluate(AXE.read_text("utf-8"))
        found = self.page.evaluate("() => axe.run({ resultTypes: ['violations'] })")["violations"]
        return [
            (each["id"], each["help"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found
        ]

    def picture(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def _note(self, request: Any) -> None:
        if request.url.startswith("http"):
            self.requests.append((request.method, request.url.removeprefix(self.address)))

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(message.text)
