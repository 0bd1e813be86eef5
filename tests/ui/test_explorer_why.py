"""The way from a prediction to what carried it: every step is a link, and the browser's back leads to the step before."""

import re

import pytest
from explored_service import Visit, needs_chromium

pytestmark = needs_chromium

CONV1 = "#model=digits@1&layer=conv1"
STRONGEST = ["channel 6", "channel 11", "channel 5"]
"""The channels of the last spatial layer, conv3, without which the seven loses most."""

FOCUS = "document.activeElement"


def asked(explorer: Visit) -> None:
    """Wait for the first step: the heat map and the channels."""
    explorer.until("document.querySelector('#view-why figure img')?.complete")
    explorer.page.wait_for_selector(".carriers li")
    explorer.settled()


def answered(explorer: Visit, channel: int) -> list[list[str]]:
    """The table of the second step, when it is there."""
    explorer.page.wait_for_selector(f"#view-why h3 >> text=Predictions without channel {channel}")
    explorer.until("document.querySelector('#view-why .over img')?.complete")
    explorer.settled()
    rows = explorer.page.locator(".scores tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def carriers(explorer: Visit) -> list[str]:
    return [text.split("\n")[0] for text in explorer.page.locator(".carriers li").all_inner_texts()]


def test_a_prediction_leads_to_its_heat_map_its_channels_one_of_them_and_back(visit) -> None:
    explorer = visit(CONV1).shows("conv1")
    page = explorer.page
    page.click("#predictions a >> nth=0")
    asked(explorer)
    assert explorer.text("#layer-title") == "conv3"
    assert "the last layer with rows and columns" in explorer.text("#view-why")
    assert page.get_attribute("#view-why figure img", "alt") == "Grad-CAM of 7"
    assert carriers(explorer)[:3] == STRONGEST
    assert "for it: 5 more · against it: 1 · without effect: 0" in explorer.text(".carriers")
    first_step = page.url

    page.click(".carriers a >> nth=1")
    rows = answered(explorer, 11)
    assert "2 of 16" in explorer.text(".rank")
    assert rows[0] == ["score of 7", "22.13", "19.46", "\u22122.674"]
    assert rows[1][0] == "7"
    assert explorer.colours("#view-why .enlarged") > 2
    explorer.picture("why-channel")
    second_step = page.url

    page.go_back()
    asked(explorer)
    assert page.url == first_step
    page.go_back()
    explorer.shows("conv1")
    page.wait_for_selector("#view-maps", state="visible")
    page.go_forward()
    asked(explorer)
    page.go_forward()
    assert answered(explorer, 11) == rows
    page.reload()
    assert answered(explorer, 11) == rows
    assert page.url == second_step
    page.click("text=Why 7?")
    asked(explorer)


def test_the_steps_need_no_pointer(visit) -> None:
    explorer = visit(CONV1).shows("conv1")
    keys = explorer.page.keyboard
    explorer.page.focus("#predictions a >> nth=1")
    keys.press("Enter")
    asked(explorer)
    assert explorer.page.get_attribute("#view-why figure img", "alt") == "Grad-CAM of 3"
    strongest = carriers(explorer)[0]
    explorer.page.focus(".carriers a >> nth=0")
    keys.press("Enter")
    answered(explorer, int(strongest.split()[1]))
    assert explorer.page.evaluate(f"{FOCUS}.textContent") == "Why 3?"
    explorer.page.focus("[aria-label='channel with the next smaller loss']")
    keys.press("Enter")
    explorer.until("document.querySelector('.rank')?.textContent.includes('2 of 16')")
    second = re.search(r"channel=(\d+)", explorer.page.url)[1]
    answered(explorer, int(second))
    keys.press("Escape")
    asked(explorer)
    explorer.until(f"{FOCUS}.dataset.channel === given", second)
    keys.press("1")
    explorer.page.wait_for_selector("#view-maps", state="visible")
    keys.press("7")
    asked(explorer)


def test_the_layer_can_be_another_one(visit) -> None:
    explorer = visit(f"{CONV1}&view=why&at=layer&target=7")
    asked(explorer)
    assert explorer.text("#layer-title") == "conv1"
    explorer.page.click("#layers li[data-address=dense]")
    explorer.until("document.querySelector('.carriers li')?.innerText.startsWith('unit 3')")
    explorer.page.wait_for_selector("#view-why .missing >> text=it has no places")
    explorer.page.click(".carriers a >> nth=0")
    explorer.page.wait_for_selector("#view-why h3 >> text=Predictions without channel 3")
    explorer.page.click("text=Why 7?")
    explorer.page.click("text=Explain the last one with rows and columns")
    asked(explorer)
    assert explorer.text("#layer-title") == "conv3"


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ("#model=wide@1&layer=wide&view=why", "Its outputs are no classes"),
        ("#model=digits@1&layer=conv3&view=why&target=7&channel=99", "conv3 has no channel 99"),
        ("#model=digits@1&layer=conv3&view=why&target=twelve", "has no class named 'twelve'"),
    ],
)
def test_what_cannot_be_explained_is_said(visit, link: str, sentence: str) -> None:
    explorer = visit(link, may_fail=True)
    explorer.page.wait_for_selector(f"text={sentence}")
