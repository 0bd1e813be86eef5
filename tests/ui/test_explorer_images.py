"""The images of the explorer: samples that suit a model, opened files, one slot for each input."""

import io

import numpy as np
from explored_service import Served, Visit, needs_chromium
from PIL import Image

pytestmark = needs_chromium

OPACITY = "selector => getComputedStyle(document.querySelector(selector)).opacity"


def png(grey: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((30, 40), grey, np.uint8)).save(file, "PNG")
    return file.getvalue()


def give(explorer: Visit, *greys: int) -> None:
    """Open files, and wait until the first of them is shown."""
    before = explorer.page.locator("#images button").count()
    files = [{"name": f"grey-{grey}.png", "mimeType": "image/png", "buffer": png(grey)} for grey in greys]
    explorer.page.set_input_files("#file", files)
    explorer.until("document.querySelectorAll('#images button').length === given", before + len(greys))
    explorer.settled()


def names(explorer: Visit) -> list[str]:
    return [each.get_attribute("aria-label") for each in explorer.page.locator("#images button").all()]


def shown(explorer: Visit) -> str:
    return explorer.page.get_attribute("#image", "alt")


def test_the_samples_suit_the_input_of_the_model(visit) -> None:
    explorer = visit("#model=digits@1").shows("conv1")
    assert shown(explorer) == "seven"
    assert len(names(explorer)) == 10
    # The service keeps no data sets.
    assert explorer.page.is_hidden("#listed")
    explorer.page.select_option("#model", "photos@1")
    explorer.shows("maps")
    assert shown(explorer) == "cat"
    assert names(explorer) == ["cat", "cup", "rocket"]
    explorer.page.click("#tab-compare")
    explorer.page.wait_for_selector(".side[aria-label=cup]")
    explorer.page.select_option("#model", "digits@1")
    explorer.page.wait_for_selector(".side[aria-label=zero]")
    assert shown(explorer) == "seven"


def test_what_belongs_to_another_image_is_dim_until_it_is_replaced(visit) -> None:
    explorer = visit("#model=photos@1&layer=maps").shows("maps")
    page = explorer.page
    for address in ("**/activations?*", "**/predictions?*"):
        page.route(address, lambda _: None)
    with page.expect_request("**/activations?*"):
        page.click("#images button >> nth=1")
    explorer.until("document.getElementById('image').alt === 'cup'")
    explorer.until("getComputedStyle(document.getElementById('view-maps')).opacity === '0.35'")
    explorer.until("getComputedStyle(document.getElementById('predictions')).opacity === '0.35'")
    explorer.until("getComputedStyle(document.querySelector('.thumbnail')).opacity === '0.35'")
    explorer.picture("stale")
    page.unroute("**/activations?*")
    page.unroute("**/predictions?*")
    page.click("#images button >> nth=2")
    explorer.shows("maps")
    explorer.until("getComputedStyle(document.getElementById('predictions')).opacity === '1'")
    assert page.evaluate(OPACITY, "#view-maps") == "1"


def test_several_files_are_opened_and_stay_after_a_reload(visit) -> None:
    explorer = visit("#model=digits@1").shows("conv1")
    give(explorer, 10, 200, 90)
    assert shown(explorer) == "grey-10.png"
    assert names(explorer)[10:] == ["grey-10.png", "grey-200.png", "grey-90.png"]
    explorer.page.reload()
    explorer.shows("conv1")
    assert names(explorer)[10:] == ["grey-10.png", "grey-200.png", "grey-90.png"]
    assert shown(explorer) == "grey-10.png"
    explorer.until("[...document.querySelectorAll('#images img')].every((each) => each.naturalWidth > 0)")
    explorer.page.click("#images button >> nth=11")
    explorer.until("document.getElementById('image').alt === 'grey-200.png'")


def test_an_opened_image_can_be_removed_and_a_sample_cannot(visit, served: Served) -> None:
    explorer = visit("#model=digits@1").shows("conv1")
    assert explorer.page.is_hidden("#remove")
    give(explorer, 11, 22)
    explorer.picture("opened-images")
    with explorer.page.expect_response(lambda each: each.request.method == "DELETE") as deletion:
        explorer.page.click("#remove")
    assert deletion.value.status == 204
    explorer.until("document.getElementById('image').alt === 'grey-22.png'")
    assert names(explorer)[10:] == ["grey-22.png"]
    explorer.page.reload()
    explorer.shows("conv1")
    assert names(explorer)[10:] == ["grey-22.png"]


def test_a_bad_file_among_several_is_named(visit) -> None:
    explorer = visit("#model=digits@1", may_fail=True).shows("conv1")
    files = [("good.png", png(77)), ("bad.png", b"no image")]
    explorer.page.set_input_files(
        "#file", [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files]
    )
    explorer.page.wait_for_selector("#problem >> text=bad.png: The bytes are not an image")
    assert shown(explorer) == "good.png"


def test_a_model_with_several_inputs_has_a_slot_for_each(visit) -> None:
    explorer = visit("#model=pair@1&layer=both").shows("both")
    page = explorer.page
    assert page.locator("#slots button").all_inner_texts() == ["left", "right"]
    same = explorer.drawing("#maps-canvas")
    page.click("#slots >> text=right")
    page.click("#images >> [aria-label=two]")
    explorer.draws_other_than(same, "#maps-canvas")
    assert shown(explorer) == "two"
    page.click("#slots >> text=left")
    explorer.until("document.getElementById('image').alt === 'seven'")
    explorer.picture("slots")
    both = explorer.drawing("#maps-canvas")
    page.reload()
    explorer.shows("both")
    assert explorer.drawing("#maps-canvas") == both
    page.hover("#maps [role=gridcell] >> nth=0")
    page.wait_for_selector("#field", state="visible")
    page.click("#tab-compare")
    page.wait_for_selector("text=Both are drawn on one scale")
    page.select_option("#model", "digits@1")
    explorer.shows("conv1")
    assert page.locator("#slots button").count() == 0


def test_a_model_that_takes_no_images_says_what_it_takes_and_shows_its_layers_and_graph(visit) -> None:
    explorer = visit("#model=vector@1").shows("dense")
    page = explorer.page
    assert explorer.text("#no-image") == "Open a .npy or .json file of 4 numbers."
    assert explorer.text("#readout").startswith("Open a vector")
    assert page.locator("#images button").count() == 0
    assert page.locator("#layers li").count() == 2
    explorer.picture("no-images")
    page.click("#tab-graph")
    page.wait_for_selector(".box")
