"""Visits to the explorer, in Chromium."""

import io
import re

import numpy as np
import pytest
from explored_models import HOSTILE
from explored_service import needs_chromium
from PIL import Image

from layerscope.demo import samples

pytestmark = needs_chromium

TEN_LAYERS = [
    "stem",
    "block",
    "block/conv",
    "block/add",
    *(f"conv_{number}" for number in range(6)),
    "skip",
    "pool",
]


def png(size: tuple[int, int] = (40, 30)) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


GIVE = """([bytes, kind]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(bytes)], 'given.png', { type: 'image/png' }));
    const options = { bubbles: true, cancelable: true };
    dispatchEvent(kind === 'paste' ? new ClipboardEvent('paste', { ...options, clipboardData: data }) : new DragEvent('drop', { ...options, dataTransfer: data }));
}"""


LINES_THROUGH_BOXES = """() => {
    const boxes = [...document.querySelectorAll('.box rect')].map((rect) => rect.getBBox());
    const isInside = ({ x, y }) => boxes.some((box) => x > box.x + 1 && x < box.x + box.width - 1 && y > box.y + 1 && y < box.y + box.height - 1);
    const points = (path) => Array.from({ length: 200 }, (_, step) => path.getPointAtLength((path.getTotalLength() * step) / 199));
    return [...document.querySelectorAll('.graph path')].filter((path) => points(path).some(isInside)).length;
}"""

PROGRESS = """
    globalThis.progressValues = [];
    new MutationObserver((changes) => progressValues.push(...changes.map(({ target }) => target.value))).observe(document, { subtree: true, attributeFilter: ['value'] });
"""


def test_the_first_minute(visit) -> None:
    explorer = visit(path="/")
    page = explorer.page
    explorer.shows("conv1")

    assert page.url.endswith("/ui/")
    assert page.title() == "conv1 · digits@1 · Layerscope"
    assert explorer.text("#predictions li:first-child .class") == "7"
    assert explorer.colours("#maps-canvas") > 50
    assert page.locator("#layers li").count() == 9
    explorer.until("[...document.querySelectorAll('.thumbnail')].every(({ width }) => width > 1)")
    explorer.requests = [each for each in explorer.requests if each[1] != "/"]
    assert len(explorer.requests) <= 28
    assert len(explorer.requests_for("/activations")) == 1
    page.hover("#maps [role=gridcell]:nth-child(3)")
    assert re.match(r"channel 2 · row \d+, column \d+: [\d.e-]+ \(0 to", explorer.text("#readout"))
    page.wait_for_selector("#field", state="visible")
    explorer.picture("first-minute")


def test_clicking_through_ten_layers_and_back(visit) -> None:
    explorer = visit("#model=nested@1&layer=image")
    for name in TEN_LAYERS:
        explorer.page.click(f"#layers li[data-address='{name}']")
        explorer.shows(name)
        assert explorer.colours("#maps-canvas") > 2
    for name in reversed(TEN_LAYERS[:-1]):
        explorer.page.go_back()
        explorer.shows(name)
    explorer.page.go_forward()
    explorer.shows(TEN_LAYERS[1])


def test_a_link_leads_to_what_was_seen(visit) -> None:
    link = "#model=digits%401&layer=conv2&channel=5&palette=magma&normalize=layer"
    explorer = visit(link).shows("conv2")
    assert explorer.text("#channel-title") == "Channel 5"
    assert explorer.page.input_value("#palette") == "magma"
    assert explorer.colours(".enlarged") > 20
    explorer.page.click("text=All channels")
    explorer.page.wait_for_selector("#maps-scroll", state="visible")
    explorer.page.go_back()
    explorer.page.wait_for_selector(".enlarged")
    explorer.page.reload()
    explorer.page.wait_for_selector(".enlarged")
    assert explorer.page.url.endswith(link)


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_an_image_is_pasted_or_dropped(visit, kind: str) -> None:
    explorer = visit().shows("conv1")
    explorer.page.evaluate(GIVE, [list(samples()["two"].read_bytes()), kind])
    explorer.until("document.querySelector('#predictions .class').textContent === '2'")
    explorer.page.evaluate(GIVE, [list(png()), kind])
    explorer.until("document.getElementById('image-facts').textContent.startsWith('30')")
    assert explorer.page.locator("#images button").count() == 11


def test_a_bad_image_is_refused_with_a_reason_and_costs_nothing(visit) -> None:
    explorer = visit(may_fail=True).shows("conv1")
    explorer.page.set_input_files("#file", {"name": "no.png", "mimeType": "image/png", "buffer": b"no image"})
    explorer.page.wait_for_selector("#problem", state="visible")
    assert "The bytes are not an image" in explorer.text("#problem")
    explorer.picture("bad-image")
    explorer.page.set_input_files("#file", {"name": "two.png", "mimeType": "image/png", "buffer": png()})
    explorer.page.wait_for_selector("#problem", state="hidden")
    explorer.page.set_input_files("#file", {"name": "a.keras", "mimeType": "", "buffer": b"no model"})
    explorer.page.wait_for_selector("#problem", state="visible")
    assert "takes no models" in explorer.text("#problem")


def test_the_keyboard_is_enough(visit) -> None:
    explorer = visit().shows("conv1")
    keys = explorer.page.keyboard
    for expected in ("skip", "model"):
        keys.press("Tab")
        assert explorer.page.evaluate("document.activeElement.id") == expected
    keys.press("Shift+Tab")
    keys.press("Enter")
    assert explorer.page.evaluate("document.activeElement.id") == "layer-title"
    keys.press("o")
    explorer.shows("pool1")
    keys.press("u")
    explorer.shows("conv1")
    keys.press("e")
    explorer.until("document.querySelector('#predictions .class').textContent === '8'")
    keys.press("w")
    explorer.until("document.querySelector('#predictions .class').textContent === '7'")
    keys.press("/")
    keys.type("conv3")
    keys.press("Enter")
    explorer.shows("conv3")
    explorer.page.focus("#layers")
    keys.press("Home")
    explorer.page.fill("#find", "")
    explorer.page.focus("#maps [tabindex='0']")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "End"):
        keys.press(key)
    assert "channel 15" in explorer.page.evaluate("document.activeElement.ariaLabel")
    keys.press("Enter")
    explorer.page.wait_for_selector(".enlarged")
    assert explorer.text("#channel-title") == "Channel 15"
    explorer.page.focus("[aria-label='channel before']")
    for channel in (14, 13):
        keys.press("Enter")
        explorer.until("document.getElementById('channel-title').textContent === given", f"Channel {channel}")
    keys.press("Escape")
    explorer.page.wait_for_selector(".enlarged", state="hidden")
    assert "channel 13" in explorer.page.evaluate("document.activeElement.ariaLabel")
    for number, view in enumerate(["maps", "statistics", "heat", "compare", "graph", "whatif", "why"], 1):
        keys.press(str(number))
        explorer.page.wait_for_selector(f"#view-{view}", state="visible")
    keys.press("3")
    explorer.page.focus("#view-heat select >> nth=0")
    for method in ("gradcam++", "hirescam"):
        keys.press("ArrowDown")
        explorer.until("location.hash.includes(encodeURIComponent(given))", method)
        explorer.until("document.activeElement.name === 'Method'")
    explorer.page.focus("#tab-heat")
    keys.press("5")
    explorer.page.focus("#tab-graph")
    keys.press("ArrowRight")
    explorer.page.wait_for_selector("#view-whatif", state="visible")
    for view in ("why", "maps"):
        keys.press("ArrowRight")
        explorer.page.wait_for_selector(f"#view-{view}", state="visible")
    keys.press("?")
    explorer.page.wait_for_selector("#keys[open]")


def test_a_nested_model_opens_in_the_graph(visit) -> None:
    explorer = visit("#model=nested@1&layer=stem&view=graph").shows("stem")
    page = explorer.page
    page.click(".box.group")
    page.wait_for_selector(".box[data-address='block/add']")
    page.click(".box[data-address='block/conv']")
    explorer.shows("block/conv")
    assert page.evaluate(LINES_THROUGH_BOXES) == 0
    page.fill("#view-graph input", "conv_3")
    assert page.locator(".box:not(.dim)").count() == 1
    explorer.picture("graph")
    page.click("[aria-label='Fold block']")
    page.wait_for_selector(".box.group[data-address=block]")
    assert page.locator(".box[data-address^='block/']").count() == 0


def test_two_thousand_channels(visit) -> None:
    explorer = visit("#model=wide@1&layer=wide").shows("wide")
    page = explorer.page
    assert page.locator("#maps [role=gridcell]").count() < 400
    page.focus("#maps [tabindex='0']")
    page.keyboard.press("End")
    explorer.until("document.activeElement.ariaLabel.startsWith('channel 2047')")
    assert explorer.colours("#maps-canvas") > 2
    page.select_option("#order", "activity")
    page.select_option("#size", "64")
    explorer.picture("two-thousand-channels")


def test_two_images_and_two_models_side_by_side(visit) -> None:
    explorer = visit("#model=digits@1&layer=conv2&view=compare").shows("conv2")
    page = explorer.page
    page.wait_for_selector("text=Both are drawn on one scale")
    page.select_option("#with", label="two")
    page.wait_for_selector(".side[aria-label=two] [role=gridcell]")
    page.hover(".side[aria-label=two] [role=gridcell] >> nth=1")
    values = [each.strip() for each in page.locator(".side > .readout:last-child").all_inner_texts()[:2]]
    assert all(re.match(r"channel 1 · row \d+, column \d+: ", each) for each in values)
    page.select_option("#size", "224")
    page.wait_for_selector(".side[aria-label=two] [role=gridcell]")
    page.locator(".side .grid-scroll").nth(0).evaluate("each => (each.scrollTop = 120)")
    explorer.until(
        "[...document.querySelectorAll('.side .grid-scroll')].every(({ scrollTop }) => scrollTop === 120)"
    )
    page.select_option("#with", value="model:digits_again@1")
    page.wait_for_selector(".side[aria-label='digits_again 1'] [role=gridcell]")
    explorer.picture("compare")
    page.select_option("#with", value="model:nested@1")
    page.wait_for_selector(".side[aria-label='nested 1'] [role=gridcell]")


def test_statistics_and_heat_maps(visit) -> None:
    explorer = visit("#model=digits@1&layer=conv2&view=statistics").shows("conv2")
    page = explorer.page
    page.wait_for_selector(".chart rect")
    page.click(".can-open", position={"x": 3, "y": 50})
    page.wait_for_selector(".enlarged")
    assert explorer.text("#channel-title") == "Channel 0"
    explorer.until("document.querySelector('.over img')?.complete")
    page.click("#tab-heat")
    explorer.until("document.querySelectorAll('.heat-maps img').length === 3")
    assert page.locator(".heat-maps b").all_inner_texts()[0] == "7"
    page.fill("[name=Class]", "2")
    page.keyboard.press("Enter")
    explorer.until("document.querySelectorAll('.heat-maps img').length === 1")
    page.select_option("[name=Method]", value="occlusion")
    page.wait_for_selector(".heat-maps img[alt='Occlusion of 2']")
    assert "method=occlusion" in page.url


def test_a_slow_heat_map_tells_how_far_it_is(visit) -> None:
    explorer = visit("#model=digits@1&layer=conv2&view=heat&method=occlusion&target=7", script=PROGRESS)
    explorer.page.wait_for_selector(".heat-maps img[alt='Occlusion of 7']")
    values = explorer.page.evaluate("() => progressValues")
    assert values
    assert values == sorted(values)
    assert all(0 < each <= 1 for each in values)


def test_a_model_of_two_inputs_and_layers_without_pictures(visit) -> None:
    explorer = visit("#model=pair@1&layer=both").shows("both")
    assert explorer.colours("#maps-canvas") > 2
    explorer.page.select_option("#model", "nested@1")
    explorer.page.click("#layers li[data-address=rows]")
    explorer.shows("rows")
    assert explorer.page.get_attribute("#maps [role=gridcell]", "aria-label").startswith("matrix of 2 by 4")


def test_m09_names_are_text_whatever_is_in_them(visit) -> None:
    explorer = visit("#model=digits_again@1").shows("conv1")
    explorer.page.evaluate(GIVE, [list(samples()["zero"].read_bytes()), "paste"])
    explorer.until("document.querySelector('#predictions .class').textContent === given", HOSTILE)
    assert explorer.page.locator("#predictions img").count() == 0


def test_a_link_to_what_is_not_there_says_so(visit) -> None:
    for link, sentence in {
        "#model=none@1": "There is no model none@1 here",
        "#model=digits@1&layer=conv9": "digits@1 has no layer conv9",
        f"#model=digits@1&image=sha256-{'0' * 64}": "no longer has the image",
    }.items():
        explorer = visit(link, may_fail=True)
        explorer.page.wait_for_selector("#problem", state="visible")
        assert sentence in explorer.text("#problem")
