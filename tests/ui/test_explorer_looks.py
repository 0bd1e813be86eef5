"""Appearance and accessibility of the explorer: themes, window sizes, screen readers, proxies, API keys."""

from pathlib import Path

import pytest
from explored_service import Behind, Served, needs_chromium

from layerscope_api.context.api_keys import KeyFile, KeyScope
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

pytestmark = [needs_chromium, pytest.mark.wide]

NARROW = (360, 740)
TABLET = (820, 1180)
WIDE = (1440, 900)
SHIFTS = """
    globalThis.shifts = [];
    new PerformanceObserver((list) => shifts.push(...list.getEntries())).observe({ type: 'layout-shift', buffered: true });
"""
VIEWS = {
    "maps": "#maps [role=gridcell]",
    "channel": ".over img",
    "statistics": ".chart rect",
    "heat": ".heat-maps figure:nth-child(3) img",
    "compare": ".side [role=gridcell]",
    "graph": ".box",
    "whatif": ".bars .effect svg",
    "why": ".carriers li",
    "why-channel": ".scores tbody tr",
}
CHANNELS = {"channel": "channel=3", "why-channel": "view=why&at=layer&target=7&channel=3"}
"""The links to views of one channel."""


def link_to(view: str) -> str:
    return f"#model=digits@1&layer=conv2&{CHANNELS.get(view, f'view={view}')}"


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", WIDE), ("dark", NARROW)], ids=["light-wide", "dark-narrow"]
)
def test_axe_finds_nothing(visit, scheme: str, size: tuple[int, int]) -> None:
    """What colours depend on is the scheme, and what lies where on the width: neither on both."""
    explorer = visit(size=size, scheme=scheme).shows("conv1")
    for view, sign in VIEWS.items():
        explorer.page.evaluate("link => { location.hash = link; }", link_to(view))
        explorer.page.wait_for_selector(sign)
        explorer.settled()
        explorer.picture(f"{view}-{scheme}-{size[0]}")
        assert explorer.axe_failures() == [], view


def test_nothing_is_wider_than_a_telephone(visit) -> None:
    explorer = visit(size=NARROW).shows("conv1")
    for view, sign in VIEWS.items():
        explorer.page.evaluate("link => { location.hash = link; }", link_to(view))
        explorer.page.wait_for_selector(sign)
        assert explorer.page.evaluate("() => document.documentElement.scrollWidth") <= NARROW[0], view


def test_a_telephone_shows_the_image_what_is_said_of_it_the_layers_and_the_first_maps(visit) -> None:
    explorer = visit("#model=digits@1&layer=conv2", size=NARROW).shows("conv2")
    for selector in (
        "#image",
        "#predictions li >> nth=4",
        "#layers [aria-selected=true]",
        "#tab-graph",
        "#maps [role=gridcell]",
    ):
        box = explorer.page.locator(selector).first.bounding_box()
        assert box["x"] >= 0, selector
        assert box["x"] + box["width"] <= NARROW[0], selector
        assert box["y"] < NARROW[1], selector


@pytest.mark.parametrize("size", [WIDE, TABLET, NARROW], ids=["wide", "tablet", "narrow"])
def test_nothing_moves_while_it_loads(visit, size: tuple[int, int]) -> None:
    explorer = visit("#model=nested@1", size=size, script=SHIFTS).shows("stem")
    explorer.until("[...document.querySelectorAll('.thumbnail')].some(({ width }) => width > 1)")
    explorer.settled()
    explorer.picture(f"loaded-{size[0]}")
    assert explorer.page.evaluate("() => shifts.reduce((sum, { value }) => sum + value, 0)") < 0.01


def test_the_theme_can_be_turned_and_stays(visit) -> None:
    explorer = visit(scheme="light").shows("conv1")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    light = explorer.page.evaluate(ground)
    explorer.page.click("#theme")
    dark = explorer.page.evaluate(ground)
    explorer.page.reload()
    assert light != dark == explorer.page.evaluate(ground)


def test_it_works_behind_a_path_of_a_proxy(visit, engine, models: Path) -> None:
    served = Served(Behind(create_app(Settings(models=models), engine), "/tools/scope"))
    try:
        explorer = visit(address=served.address, path="/tools/scope/").shows("conv1")
        assert explorer.page.url.startswith(f"{served.address}/tools/scope/ui/")
        assert all(url.startswith("/tools/scope/") for _, url in explorer.requests)
        assert explorer.text("#predictions .class >> nth=0") == "7"
    finally:
        served.stop()


def test_a_guarded_service_asks_for_a_key(visit, engine, models: Path, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    _, token = KeyFile(path).create("person", [KeyScope.INFER])
    served = Served(create_app(Settings(models=models, api_keys=path), engine))
    try:
        explorer = visit(address=served.address, may_fail=True)
        explorer.page.fill("#key", "wrong")
        explorer.page.keyboard.press("Enter")
        explorer.page.wait_for_selector("#door[open]")
        explorer.page.fill("#key", token)
        explorer.page.keyboard.press("Enter")
        explorer.shows("conv1")
        explorer.page.reload()
        explorer.shows("conv1")
        assert token not in explorer.page.url
        assert (
            explorer.page.evaluate("() => document.cookie + JSON.stringify(localStorage)").count(token) == 0
        )
    finally:
        served.stop()
