"""Grids of the explorer: how they fill the room, thousands of channels, comparisons, statistics, telephones."""

import re

import pytest
from explored_service import Visit, needs_chromium

pytestmark = needs_chromium

USED = """() => {
    const room = document.getElementById('maps-scroll').getBoundingClientRect();
    const cells = [...document.querySelectorAll('#maps [role=gridcell]')].map((each) => each.getBoundingClientRect());
    const [left, top] = [Math.min(...cells.map((each) => each.left)), Math.min(...cells.map((each) => each.top))];
    const [right, bottom] = [Math.max(...cells.map((each) => each.right)), Math.max(...cells.map((each) => each.bottom))];
    return { width: (right - left) / room.width, height: (bottom - top) / room.height };
}"""
"""The part of the room that the maps stand in."""


def cells(explorer: Visit) -> list[str]:
    """The names of the maps in view."""
    return [each.get_attribute("aria-label") for each in explorer.page.locator("#maps [role=gridcell]").all()]


@pytest.mark.parametrize("size", [(1440, 900), (1920, 1080)], ids=["1440", "1920"])
def test_maps_that_fit_fill_the_room(visit, size: tuple[int, int]) -> None:
    explorer = visit("#model=digits@1&layer=conv1", size=size).shows("conv1")
    used = explorer.page.evaluate(USED)
    assert max(used.values()) > 0.9
    assert used["width"] * used["height"] > 0.7
    explorer.page.click("#layers li[data-address=input]")
    explorer.shows("input")
    assert max(explorer.page.evaluate(USED).values()) > 0.75


def test_two_thousand_channels_are_seen_at_once_and_one_is_found(visit) -> None:
    explorer = visit("#model=wide@1&layer=wide").shows("wide")
    page = explorer.page
    page.select_option("#size", "atlas")
    explorer.until("document.querySelectorAll('#maps [role=gridcell]').length === 2048")
    assert (
        page.evaluate(
            "() => { const { scrollHeight, clientHeight } = document.getElementById('maps-scroll'); return scrollHeight - clientHeight; }"
        )
        <= 1
    )
    explorer.picture("atlas")
    page.select_option("#size", "auto")
    page.fill("#jump", "1234")
    page.keyboard.press("Enter")
    explorer.until("document.activeElement.ariaLabel?.startsWith('channel 1234,')")
    page.fill("#jump", "2048")
    page.keyboard.press("Enter")
    explorer.until("document.getElementById('readout').textContent.includes('0 to 2047')")
    page.select_option("#shown", "50")
    explorer.until("/^\\d+ of 2048 channels are shown/.test(document.getElementById('readout').textContent)")
    count = int(explorer.text("#readout").split()[0])
    assert 0 < count < 2048
    assert page.locator("#maps").get_attribute("aria-rowcount") is not None


def test_dead_channels_are_hidden_or_shown_alone(visit) -> None:
    explorer = visit("#model=photos@1&layer=maps&size=64").shows("maps")
    page = explorer.page
    assert any(each.endswith("dead") for each in cells(explorer))
    page.select_option("#shown", "live")
    explorer.until("document.getElementById('readout').textContent.includes('of 64 channels')")
    assert not any(each.endswith("dead") for each in cells(explorer))
    page.click("#tab-statistics")
    page.wait_for_selector("text=Dead channels")
    page.set_default_timeout(5_000)
    assert re.fullmatch("\\d+([\u2013,] ?\\d+)*", explorer.text(".numbers >> nth=0"))
    assert page.locator("#view-statistics button").count() == 1
    page.click("text=Show their maps")
    explorer.shows("maps")
    assert all(each.endswith("dead") for each in cells(explorer))


def test_units_of_a_vector_are_named_with_their_values(visit) -> None:
    explorer = visit("#model=digits@1&layer=dense").shows("dense")
    first = explorer.page.locator("#maps [role=gridcell]").first.bounding_box()
    assert first["width"] >= 60
    blank = explorer.drawing("#maps-canvas")
    explorer.page.select_option("#size", "atlas")
    explorer.draws_other_than(blank, "#maps-canvas")
    assert explorer.page.locator("#maps [role=gridcell]").first.bounding_box()["width"] < 30


def test_statistics_of_class_outputs_have_bars_and_axes_have_ticks(visit) -> None:
    explorer = visit("#model=digits@1&layer=probabilities&view=statistics").shows("probabilities")
    page = explorer.page
    page.wait_for_selector(".ranges")
    assert page.locator(".ranges").evaluate("each => each.getBBox().height") > 150
    histogram, channels = (page.locator(".chart").nth(place) for place in (0, 1))
    assert histogram.locator(".x span").count() == 7
    assert histogram.locator(".y span").first.inner_text() == "9"
    assert channels.locator(".x span").all_inner_texts()[0] == "0"
    assert channels.locator(".x span").all_inner_texts()[-1] == "9"
    assert channels.locator(".y span").all_inner_texts() == ["1", "0.75", "0.5", "0.25", "0"]


def test_comparing_shows_the_difference_and_the_predictions_of_both(visit) -> None:
    explorer = visit("#model=digits@1&layer=conv2&view=compare").shows("conv2")
    page = explorer.page
    page.select_option("#with", label="two")
    page.wait_for_selector(".side[aria-label=difference] [role=gridcell]")
    page.wait_for_selector(".side[aria-label=two] >> text=2 100.0 %")
    page.wait_for_selector(".side >> nth=0 >> text=7 100.0 %")
    page.hover(".side[aria-label=difference] [role=gridcell] >> nth=1")
    left, right, difference = (
        float(each.rsplit(": ", 1)[1])
        for each in page.locator(".side > .readout:last-child").all_inner_texts()
    )
    assert difference == pytest.approx(left - right, abs=0.1)
    explorer.picture("compare-difference")


def test_another_model_is_compared_by_a_layer_that_is_chosen(visit) -> None:
    explorer = visit("#model=digits@1&layer=conv2&view=compare&with=model:nested@1").shows("conv2")
    page = explorer.page
    beside = ".side[aria-label='nested 1']"
    page.wait_for_selector(f"{beside} [role=gridcell]")
    first = page.input_value(f"{beside} select")
    assert first.startswith("conv_")
    page.select_option(f"{beside} select", "block/conv")
    explorer.until("location.hash.includes('there=')")
    page.wait_for_selector(f"{beside} [role=gridcell]")
    assert page.input_value(f"{beside} select") == "block/conv"
    assert page.is_hidden(".side[aria-label=difference]")
    assert "class" in explorer.text(f"{beside} .quiet")


def test_a_telephone_has_room_for_maps_and_labels_for_its_controls(visit) -> None:
    explorer = visit("#model=digits@1&layer=conv2", size=(360, 740)).shows("conv2")
    page = explorer.page
    assert page.locator("#maps [role=gridcell]").first.bounding_box()["y"] < 640
    page.evaluate("() => { location.hash = '#model=siamese@1&layer=tower/resblock/conv:4'; }")
    explorer.shows("tower/resblock/conv:4")
    assert explorer.text("#layers [aria-selected=true] b") == "conv:4"
    name = page.locator("#layers [aria-selected=true] b")
    assert name.evaluate(
        "each => each.scrollWidth <= each.clientWidth && each.scrollHeight <= each.clientHeight + 1"
    )
    assert page.is_hidden("#palette")
    page.click("#more-tools")
    for control in ("#palette", "#normalize", "#order", "#size", "#shown"):
        label = page.locator(f"label:has({control}) .label").bounding_box()
        assert label["height"] > 10
    explorer.picture("telephone-tools")
