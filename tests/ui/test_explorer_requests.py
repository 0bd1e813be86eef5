"""Requests of the explorer: none is sent twice, and none for pictures that the page can draw."""

import re
from urllib.request import urlopen

from explored_service import Served, needs_chromium

from layerscope_api.explorer.files import joined

pytestmark = needs_chromium


def runs(served: Served, model: str) -> float:
    """How often the service has run a model."""
    with urlopen(f"{served.address}/metrics") as answer:
        counts = re.findall(
            rf'layerscope_executions_total{{.*model="{model}".*}} (\S+)', answer.read().decode()
        )
    return sum(map(float, counts))


def test_recolouring_asks_for_nothing(visit) -> None:
    explorer = visit("#model=nested@1&layer=stem").shows("stem")
    sent = list(explorer.requests)
    for control, value in {
        "#palette": "magma",
        "#order": "activity",
        "#size": "64",
        "#normalize": "layer",
    }.items():
        before = explorer.drawing("#maps-canvas")
        explorer.page.select_option(control, value)
        explorer.draws_other_than(before, "#maps-canvas")
    explorer.page.select_option("#normalize", "own")
    explorer.page.fill("#range-high", "0.5")
    explorer.page.keyboard.press("Enter")
    explorer.until("document.getElementById('scale-high').textContent === '0.5'")
    assert explorer.settled().requests == sent


def test_the_layers_are_listed_while_the_image_is_stored(visit) -> None:
    sent = [url for _, url in visit("#model=digits@1").shows("conv1").requests]
    listed = next(place for place, url in enumerate(sent) if "/digits@1/layers" in url)
    assert listed < sent.index("/v1/images")


def test_a_second_visit_to_a_layer_runs_nothing(visit, served: Served) -> None:
    explorer = visit("#model=photos@1&layer=maps").shows("maps")
    explorer.page.click("#layers li[data-address=pool]")
    explorer.shows("pool")
    sent, ran = list(explorer.requests), runs(served, "photos")
    assert ran > 0
    explorer.page.click("#layers li[data-address=maps]")
    explorer.shows("maps")
    assert explorer.requests == sent

    another_person = visit("#model=photos@1&layer=maps").shows("maps")
    assert another_person.requests_for("/activations")
    assert runs(served, "photos") == ran


def test_a_first_visit_sends_few_requests_and_later_views_load_only_what_is_their_own(visit) -> None:
    explorer = visit().shows("conv1")
    assert len(explorer.requests) <= 12
    _, together = joined()
    for view in ("statistics", "heat", "compare", "graph", "whatif", "why"):
        explorer.page.click(f"#tab-{view}")
        explorer.page.wait_for_selector(f"#view-{view} > *")
        explorer.settled()
    modules = [url.split("/", 3)[3] for url in explorer.requests_for(".js") if url.startswith("/ui/")]
    assert {"graph.js", "heat.js", "why.js"} < set(modules)
    assert not set(modules) & set(together)
    assert len(set(modules)) == len(modules)
