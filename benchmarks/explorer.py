"""A layer shown in a browser as the explorer does, beside the pictures that the service draws of the same maps.

Chromium shows a layer of 64 maps of 112x112 pixels, all of it in view, timed from the first request until it is painted:
once from raw values drawn on one canvas, and once as 64 `<img>`. Images differ from turn to turn. The values of the layer
are in the service's cache beforehand, so neither way waits for the model. The other palette is drawn from values that the
page already has.

Then the page of today is visited in turns with the page of an earlier commit, each from its own service: the first picture, other
layers, 2,048 channels, and graphs of 155 and of 1,000 layers.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from shutil import which
from urllib.request import Request, urlopen

import keras
from explorer_visits import visits, write_models
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from rig.figures import Figure, ratio
from rig.models import save
from rig.paired import Way, compare
from rig.pictures import pictures
from rig.service import Service, serve

MODEL, LAYER = "photos", "maps"
SIDE = 224
CHANNELS = 64
WINDOW: ViewportSize = {"width": 1200, "height": 1300}
"""Pixels in which all maps are seen at once."""

TURNS = 25
WAYS = Path(__file__).with_suffix(".js")


def measure() -> dict[str, Figure]:
    """A layer and another palette for it, and visits beside those to an earlier state."""
    with tempfile.TemporaryDirectory() as folder:
        drawn, visited = Path(folder, "drawn"), Path(folder, "visited")
        save(_model(), drawn, MODEL)
        write_models(visited)
        with _browser() as browser:
            with serve(drawn) as service, _page(browser, service) as page:
                figures = {
                    "layer": _figure(
                        page, service, "shown", "a layer of 64 maps of 112x112 on a canvas", least=5
                    ),
                    "palette": _figure(page, service, "recoloured", "the same in another palette"),
                }
            return figures | visits(visited, browser)


def _figure(page: Page, service: Service, way: str, what: str, least: float | None = None) -> Figure:
    def run(kind: str, image: str) -> float:
        return float(page.evaluate("([way, kind, image]) => ways[way][kind](image)", [way, kind, image]))

    images = map(_computed, pictures(SIDE, SIDE, seed=len(way)), iter(lambda: service.address, None))
    return ratio(
        compare(
            what,
            Way(lambda pair: run("canvas", pair[0]), service.cpu),
            Way(lambda pair: run("pictures", pair[1]), service.cpu),
            islice(zip(images, images, strict=False), TURNS),
        ),
        what=what,
        against="64 `<img>` of `feature-map.png`",
        unit="x as fast",
        least=least,
        browser=page.context.browser.version if page.context.browser else "",
    )


def _model() -> keras.Model:
    maps = keras.layers.Conv2D(CHANNELS, 3, strides=2, padding="same", activation="relu", name=LAYER)
    return keras.Sequential([keras.Input((SIDE, SIDE, 3)), maps, keras.layers.GlobalMaxPooling2D()])


@contextmanager
def _browser() -> Iterator[Browser]:
    browser_path = which("chromium") or which("chromium-browser") or which("google-chrome")
    if browser_path is None:
        raise SystemExit("There is no Chromium here. Install it: apt install chromium.")
    with sync_playwright() as playwright:
        # The sandbox of Chromium does not start as root.
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def _page(browser: Browser, service: Service) -> Iterator[Page]:
    """An empty page of the service's origin with both ways to draw a layer."""
    page = browser.new_page(viewport=WINDOW)
    page.route("**/empty", lambda route: route.fulfill(content_type="text/html", body="<!doctype html>"))
    page.goto(f"{service.address}/empty")
    page.evaluate(WAYS.read_text("utf-8"), [MODEL, LAYER])
    yield page
    page.context.close()


def _computed(image: bytes, address: str) -> str:
    """Store an image and have the layer computed for it."""
    with urlopen(Request(f"{address}/v1/images", image, {"Content-Type": "image/jpeg"})) as answer:
        identity = str(json.load(answer)["id"])
    with urlopen(
        f"{address}/v1/models/{MODEL}@1/activations?image={identity}&layers={LAYER}&format=npy"
    ) as answer:
        answer.read()
    return identity
