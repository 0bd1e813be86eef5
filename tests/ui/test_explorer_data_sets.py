"""Images of data sets in the explorer: a dialog in which they are chosen, and links to them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from explored_service import Served, Visit, needs_chromium

from digit_images import write_digits
from layerscope.execution.local_engine import LocalEngine
from layerscope.extraction.catalog import DataSetCatalog
from layerscope_api.context.data_sets import catalog_of
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from models_of_axes import CASES

pytestmark = needs_chromium

FIRST, LAST = "0 to 23 of 30", "24 to 29 of 30"
TIMES = "\u00d7"
TILES = "#data-sets .listed button"
SAYS = "document.querySelector('#data-sets[open] [role=status]')?.textContent === given"
ARE_DRAWN = "[...document.querySelectorAll('#data-sets .listed img')].every((each) => each.naturalWidth > 0)"


class Kept(NamedTuple):
    """A service that keeps data sets: `val` of 30 digits in three folders, `few` of two, and `waves` of three signals."""

    address: str
    catalog: DataSetCatalog
    others: Path


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, engine: LocalEngine, models: Path) -> Iterator[Kept]:
    photos = tmp_path_factory.mktemp("photos")
    for label in ("first", "second", "third"):
        write_digits(photos / label)
    catalogs = tmp_path_factory.mktemp("catalogs")
    others = tmp_path_factory.mktemp("others")
    np.save(others / "series.npy", np.concatenate([CASES["series"].values] * 3)[:3])
    places = {"photos": str(photos), "others": str(others)}
    settings = Settings(models=models, places=places, datasets=catalogs)
    catalog = catalog_of(settings)
    catalog.register("val", "photos:", "folders")
    catalog.register("few", "photos:first/*o.png")
    catalog.register("waves", "others:series.npy")
    served = Served(create_app(settings, engine))
    yield Kept(served.address, catalog, others)
    served.stop()


@pytest.fixture
def explored(visit: Callable[..., Visit], kept: Kept) -> Callable[..., Visit]:
    """Open the explorer of the model `digits`."""
    return lambda link="", **options: visit(
        f"#model=digits@1&layer=conv1{link}", address=kept.address, **options
    ).shows("conv1")


def opened(explorer: Visit, says: str) -> Visit:
    """Open the dialog, and wait until a page is drawn."""
    explorer.page.click("#listed")
    return turned(explorer, says)


def turned(explorer: Visit, says: str) -> Visit:
    explorer.until(SAYS, says)
    explorer.until(ARE_DRAWN)
    return explorer


LOOKS = [
    pytest.param((1440, 900), "light", id="light-wide"),
    pytest.param((360, 740), "dark", id="dark-narrow", marks=pytest.mark.wide),
]


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_an_image_is_chosen_from_a_page_and_its_link_shows_it(
    explored, size: tuple[int, int], scheme: str
) -> None:
    explorer = explored(size=size, scheme=scheme)
    page = explorer.page
    opened(explorer, "0 to 1 of 2")
    page.select_option("#data-sets select", value="val")
    turned(explorer, "0 to 23 of 30")
    assert page.locator(TILES).count() == 24
    assert page.locator(TILES).nth(11).inner_text() == "second"
    explorer.picture(f"data-sets-{scheme}-{size[0]}")
    assert explorer.axe_failures() == []
    assert page.evaluate("() => document.querySelector('#data-sets').scrollWidth") <= size[0]
    for turn, says in (("Next page", LAST), ("Next page", FIRST), ("Previous page", LAST)):
        page.click(f"text={turn}")
        turned(explorer, says)
    page.click(f"{TILES} >> nth=4")
    explorer.until("document.getElementById('image').alt === 'val/28'")
    explorer.until("document.querySelector('#predictions:not(.stale) .class')?.textContent === '2'")
    assert page.is_hidden("#data-sets")
    assert explorer.text("#image-facts") == f"labelled third · 28 {TIMES} 28 · png"
    explorer.shows("conv1")
    page.hover("#maps [role=gridcell] >> nth=0")
    page.wait_for_selector("#field", state="visible")
    explorer.picture(f"data-set-image-{scheme}-{size[0]}")
    assert explorer.axe_failures() == []

    colleague = explored(f"&{page.evaluate('location.hash.slice(1)')}")
    assert colleague.page.get_attribute("#image", "alt") == "val/28"
    assert colleague.text("#image-facts") == explorer.text("#image-facts")
    opened(colleague, LAST)
    assert colleague.page.locator(f"{TILES}[aria-pressed=true]").inner_text() == "third"


def test_the_keyboard_chooses_and_leaves(explored) -> None:
    explorer = explored()
    page, keys = explorer.page, explorer.page.keyboard
    page.focus("#listed")
    keys.press("Enter")
    turned(explorer, "0 to 1 of 2")
    keys.press("Escape")
    explorer.until("document.activeElement.id === 'listed'")
    keys.press("Enter")
    turned(explorer, "0 to 1 of 2")
    assert page.evaluate("document.activeElement.name") == "Data set"
    keys.press("ArrowDown")
    turned(explorer, FIRST)
    keys.press("Tab")
    keys.type("29")
    keys.press("Enter")
    turned(explorer, "29 to 29 of 30")
    for label in ("Previous page", "Next page", "third, image 29: third/zero.png"):
        keys.press("Tab")
        assert (
            page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.textContent") == label
        )
    keys.press("Enter")
    explorer.until("document.getElementById('image').alt === 'val/29'")
    assert page.evaluate("document.activeElement.id") == "listed"


def test_an_image_is_named_in_code_and_taken_off_the_list(explored, kept: Kept) -> None:
    explorer = explored("&image=dataset:few/0")
    page = explorer.page
    page.click("#downloads summary")
    page.wait_for_selector("#downloads-body pre >> nth=2")
    curl, python, javascript = page.locator("#downloads-body pre").all_inner_texts()
    assert curl.startswith(
        f"curl '{kept.address}/v1/models/digits%401/feature-map.png?image=dataset%3Afew%2F0&layer="
    )
    assert 'model.feature_map("dataset:few/0", ' in python
    assert 'model.featureMap("dataset:few/0", ' in javascript
    page.keyboard.press("Escape")
    assert page.get_attribute("#remove", "aria-label") == "Remove this image from the list"
    page.click("#remove")
    explorer.until("document.getElementById('image').alt === 'nine'")
    assert page.locator("#images [aria-label='few/0']").count() == 0
    assert "DELETE" not in {method for method, _ in explorer.requests}
    assert kept.catalog.get("few").record.images == 2


def test_images_that_are_others_than_were_listed_are_named(explored, kept: Kept) -> None:
    moved = write_digits(kept.others / "moved")
    kept.catalog.register("moved", "others:moved/")
    (moved / "eight.png").write_bytes(b"another")
    explorer = explored(may_fail=True)
    page = explorer.page
    page.click("#listed")
    page.select_option("#data-sets select", value="moved")
    page.wait_for_selector(f"{TILES} >> text=not as listed")
    explorer.until("document.querySelectorAll('.listed img').length === 9")
    explorer.until(ARE_DRAWN)
    explorer.picture("data-set-moved")
    page.click(f"{TILES} >> nth=0")
    page.wait_for_selector("#problem >> text=eight.png has changed since the images were listed")
    kept.catalog.delete("moved")
    page.goto(f"{kept.address}/ui/#model=digits@1&image=dataset:moved/1")
    page.reload()
    page.wait_for_selector("#problem >> text=There is no data set 'moved'")


def test_a_model_that_reads_arrays_takes_those_of_a_data_set(visit, kept: Kept) -> None:
    explorer = visit("#model=series@1", address=kept.address)
    page = explorer.page
    page.wait_for_selector("#no-image", state="visible")
    page.click("#listed")
    page.select_option("#data-sets select", value="waves")
    explorer.until(SAYS, "0 to 2 of 3")
    page.click(f"{TILES} >> nth=1")
    explorer.until("document.getElementById('image').alt === 'waves/1'")
    explorer.picture("data-set-array")
    assert explorer.settled().requests_for("thumbnail.png") == []
    assert explorer.text("#images button") == "waves/1"
