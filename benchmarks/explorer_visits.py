"""Visits to the explorer of today and to that of an earlier commit, in turns, each with a service of its own."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import keras
from playwright.sync_api import Browser, Page, ViewportSize
from rig.earlier import earlier
from rig.figures import Figure, ratio
from rig.models import SIDE, mobilenet, save
from rig.paired import Way, compare
from rig.pictures import pictures
from rig.service import Service, serve

BEFORE = "c88d4bf"
"""The commit before the explorer was made for large models."""

ACTS = Path(__file__).with_suffix(".js").read_text("utf-8")
WINDOW: ViewportSize = {"width": 1440, "height": 900}
NEVER_SLOWER = 0.9
"""The goal: as fast as before, but for noise."""

STEPS = [f"block_{number}_expand" for number in range(1, 17)]
"""Layers of MobileNetV2, so far apart in the list that the thumbnails beside one do not compute the next."""

FIRST_TURNS, GRAPH_TURNS, FRAMES = 10, 8, 40
WARM_UP = 2


@dataclass(frozen=True)
class Explorer:
    """A service, and the browser that visits it."""

    service: Service
    browser: Browser

    @contextmanager
    def page(self, link: str) -> Iterator[Page]:
        """A page that was never here: nothing of it is in a cache of the browser."""
        page = self.browser.new_page(viewport=WINDOW)
        page.add_init_script(ACTS)
        page.goto(f"{self.service.address}/ui/#{link}")
        yield page
        page.context.close()

    def store(self, image: bytes) -> str:
        """Store an image on the service; returns its id."""
        request = Request(f"{self.service.address}/v1/images", image, {"Content-Type": "image/jpeg"})
        with urlopen(request) as answer:
            return str(json.load(answer)["id"])


def write_models(folder: Path) -> None:
    """MobileNetV2, a layer of 2,048 channels, and a chain of 1,000 layers with residual connections."""
    save(mobilenet(), folder, "mobilenet")
    wide = keras.layers.Conv2D(2_048, 1, name="wide")
    save(keras.Sequential([keras.Input((14, 14, 3), name="image"), wide]), folder, "wide")
    save(_chain(1_000), folder, "deep")


def visits(models: Path, browser: Browser) -> dict[str, Figure]:
    """Today's explorer against the one of the commit before."""
    with ExitStack() as stack:
        source = stack.enter_context(earlier(BEFORE))
        now = Explorer(stack.enter_context(serve(models)), browser)
        before = Explorer(stack.enter_context(serve(models, source=source)), browser)
        return {
            "first_picture": _first_picture(now, before),
            **_layers(now, before),
            "wide": _wide(now, before),
            **_graphs(now, before),
        }


def _first_picture(now: Explorer, before: Explorer) -> Figure:
    link = "model=mobilenet@1&layer=block_6_expand"
    requests: dict[Explorer, int] = {}

    def open_page(explorer: Explorer, _: Any) -> float:
        with explorer.page(link) as page:
            seconds = float(page.evaluate("visit.first('block_6_expand')"))
            requests[explorer] = page.evaluate("performance.getEntriesByType('resource').length + 1")
            page.evaluate("visit.quiet()")
            return seconds

    return _figure(
        "the first picture of a layer of MobileNetV2, from opening the page",
        now,
        before,
        open_page,
        range(FIRST_TURNS),
        lambda: {"sent": requests[now], "sent_before": requests[before]},
    )


def _layers(now: Explorer, before: Explorer) -> dict[str, Figure]:
    """Another layer of MobileNetV2: for the first time, and again."""
    with (
        now.page("model=mobilenet@1&layer=Conv1") as ours,
        before.page("model=mobilenet@1&layer=Conv1") as theirs,
    ):
        pages = {now: ours, before: theirs}
        for page in pages.values():
            page.evaluate("visit.first('Conv1')")
            page.evaluate("visit.quiet()")

        def choose(explorer: Explorer, layer: str) -> float:
            seconds = float(pages[explorer].evaluate("visit.layer", layer))
            # Thumbnails are fetched behind the layer: not while the other page is timed.
            pages[explorer].evaluate("visit.quiet()")
            return seconds

        return {
            "layer_cold": _figure(
                "another layer of MobileNetV2, computed for it", now, before, choose, STEPS
            ),
            "layer_warm": _figure("another layer of MobileNetV2, seen before", now, before, choose, STEPS),
        }


def _wide(now: Explorer, before: Explorer) -> Figure:
    """A layer of 2,048 channels, of another image each time."""
    with now.page("model=wide@1&layer=wide") as ours, before.page("model=wide@1&layer=wide") as theirs:
        pages = {now: ours, before: theirs}
        for page in pages.values():
            page.evaluate("visit.first('wide')")

        def show(explorer: Explorer, image: bytes) -> float:
            identity = explorer.store(image)
            link = f"#model=wide@1&image={identity}&layer=wide"
            return float(
                pages[explorer].evaluate("([link, image]) => visit.image(link, image)", [link, identity])
            )

        images = [image for image, _ in zip(pictures(SIDE, SIDE, seed=7), range(15), strict=False)]
        return _figure("a layer of 2,048 channels of another image", now, before, show, images)


def _graphs(now: Explorer, before: Explorer) -> dict[str, Figure]:
    """Open a graph, choose another layer in it, and scroll through it."""
    figures = {}
    for name, model, layer, next_layer in (
        ("155", "mobilenet", "block_6_expand", "block_6_expand_BN"),
        ("1000", "deep", "conv_125", "norm_125"),
    ):
        seconds: dict[tuple[Explorer, str], list[float]] = {}

        def look(
            explorer: Explorer,
            _: Any,
            model: str = model,
            layer: str = layer,
            next_layer: str = next_layer,
            seconds: Any = seconds,
        ) -> float:
            with explorer.page(f"model={model}@1&layer={layer}") as page:
                page.evaluate("layer => visit.first(layer)", layer)
                opened = float(page.evaluate("visit.graph()"))
                chosen = float(page.evaluate("layer => visit.box(layer)", next_layer))
                scrolled = float(page.evaluate("frames => visit.scrolling(frames)", FRAMES))
            for act, each in {"chosen": chosen, "scrolled": scrolled}.items():
                seconds.setdefault((explorer, act), []).append(each)
            return opened

        figures[f"graph_{name}"] = _figure(
            f"the graph of {name} layers, from the press of its tab", now, before, look, range(GRAPH_TURNS)
        )
        for act, what in {
            "chosen": "another layer in the graph of",
            "scrolled": f"{FRAMES} frames of scrolling through the graph of",
        }.items():
            replayed = {explorer: iter(seconds[explorer, act]) for explorer in (now, before)}
            figures[f"graph_{name}_{act}"] = _figure(
                f"{what} {name} layers",
                now,
                before,
                lambda explorer, _, r=replayed: next(r[explorer]),
                range(GRAPH_TURNS),
            )
    return figures


def _figure(
    what: str,
    now: Explorer,
    before: Explorer,
    act: Callable[[Explorer, Any], float],
    turns: Any,
    details: Callable[[], dict[str, Any]] = dict,
) -> Figure:
    pairs = compare(
        what,
        Way(lambda each: act(now, each), now.service.cpu),
        Way(lambda each: act(before, each), before.service.cpu),
        turns,
        warm_up=WARM_UP,
    )
    return ratio(
        pairs,
        what=what,
        against=f"the explorer at {BEFORE}",
        unit="x as fast",
        least=NEVER_SLOWER,
        **details(),
    )


def _chain(count: int) -> keras.Model:
    """A model of so many layers: residual blocks of four."""
    image = keras.Input((8, 8, 3), name="image")
    values = keras.layers.Conv2D(2, 1, name="stem")(image)
    for number in range((count - 4) // 4):
        inner = keras.layers.Conv2D(2, 1, name=f"conv_{number}")(values)
        inner = keras.layers.BatchNormalization(name=f"norm_{number}")(inner)
        inner = keras.layers.ReLU(name=f"act_{number}")(inner)
        values = keras.layers.Add(name=f"sum_{number}")([values, inner])
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(values)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax", name="classes")(pooled))
