"""Take the screenshots of the explorer: run `make screenshots` after it has changed.

Beside each picture lies what it shows, as text: the accessibility tree of the page. Pixels differ between machines, the words do
not, so a test compares them with those of the explorer as it is.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page, sync_playwright

from layerscope import demo
from layerscope_api.context.settings import Settings
from layerscope_api.live import LiveExplorer
from layerscope_api.server.app import create_app, local_engine
from layerscope_api.server.listening import listen

IMAGES = Path(__file__).parent / "images"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_SIZE = {"width": 1280, "height": 720}


class View(NamedTuple):
    """A view of the explorer.

    Attributes:
        link: the part of the address behind `#`.
        sign: a selector of what is there when all is drawn.
        hover: a selector of what the pointer is on, and where in it.
    """

    link: str
    sign: str
    hover: tuple[str, float, float] | None = None


VIEWS = {
    "explorer": View(
        "model=digits@1&layer=conv2", "#maps [role=gridcell]", ("#maps [role=gridcell] >> nth=11", 0.45, 0.3)
    ),
    "explorer-whatif": View("model=digits@1&layer=conv3&view=whatif", "#view-whatif .effect"),
}
"""The views by the name of their picture."""


@contextmanager
def explorer_page() -> Iterator[tuple[Page, str]]:
    """A page in Chromium, and the address of an explorer of the demo model."""
    settings = Settings(port=0, models=demo.MODELS, control="none", api_keys=None)
    listener = listen(settings)
    engine = local_engine(settings)
    engine.load_all()
    with (
        LiveExplorer(create_app(settings, engine), engine, settings, listener) as explorer,
        sync_playwright() as playwright,
    ):
        # The sandbox of Chromium does not start as root, which containers are.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(viewport=_SIZE, color_scheme="light"), explorer.address
        browser.close()


def show(page: Page, address: str, view: View) -> str:
    """Open a view, and return what it shows as text."""
    page.goto("about:blank")
    page.goto(f"{address}#{view.link}")
    page.wait_for_selector(view.sign)
    page.wait_for_load_state("networkidle")
    page.wait_for_function("() => !document.body.classList.contains('waiting')")
    if view.hover is not None:
        selector, x, y = view.hover
        box = page.locator(selector).bounding_box()
        assert box is not None, selector  # noqa: S101 - it was waited for
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        page.wait_for_selector("#field", state="visible")
    return page.locator("body").aria_snapshot() + "\n"


def main() -> None:
    """Take all screenshots."""
    with explorer_page() as (page, address):
        for name, view in VIEWS.items():
            text = show(page, address, view)
            page.screenshot(path=IMAGES / f"{name}.png")
            (IMAGES / f"{name}.aria.yaml").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
