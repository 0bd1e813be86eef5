"""One whole visit: an image, its class, why, a channel, a comparison, a link, and all the way back."""

from collections.abc import Callable

import pytest
from explored_service import Visit, needs_chromium

pytestmark = needs_chromium

WIDE, NARROW = (1440, 900), (360, 740)
MOST_TABS = 60
VIEW = "document.body.dataset.view"
IS_PRESSED = "document.querySelector('#images [aria-label=two]').ariaPressed === 'true'"
IS_ANSWERED = "document.querySelector('#predictions:not(.stale) .class')?.textContent === '2'"
BOTH_SIDES = ".side >> nth=1 >> [role=gridcell] >> nth=0"


def clicked(explorer: Visit, selector: str) -> None:
    explorer.page.click(f"{selector} >> nth=0")


def reached(explorer: Visit, selector: str) -> None:
    """Move the focus to an element by the tabulator alone."""
    for _ in range(MOST_TABS):
        explorer.page.keyboard.press("Tab")
        if explorer.page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"The tabulator does not lead to {selector}.")


def entered(explorer: Visit, selector: str) -> None:
    reached(explorer, selector)
    explorer.page.keyboard.press("Enter")


def is_at(explorer: Visit, view: str, link: str) -> None:
    explorer.until(f"{VIEW} === given[0] && location.hash === given[1]", [view, link])
    explorer.settled()


@pytest.mark.parametrize(
    ("size", "scheme", "choose"),
    [(WIDE, "light", clicked), (NARROW, "dark", entered)],
    ids=["wide-light-pointer", "narrow-dark-keyboard"],
)
def test_from_an_image_to_what_carried_its_class_to_a_link_and_back(
    visit, size: tuple[int, int], scheme: str, choose: Callable[[Visit, str], None]
) -> None:
    explorer = visit(size=size, scheme=scheme).shows("conv1")
    page = explorer.page
    links = []

    def look(name: str) -> None:
        explorer.settled()
        links.append(page.evaluate("location.hash"))
        explorer.picture(f"visit-{name}-{scheme}-{size[0]}")
        assert explorer.axe_failures() == [], name

    choose(explorer, "#images [aria-label=two]")
    explorer.until(IS_PRESSED)
    explorer.until(IS_ANSWERED)
    look("image")

    choose(explorer, "#predictions a")
    page.wait_for_selector(".carriers li")
    assert page.get_attribute("#view-why figure img", "alt") == "Grad-CAM of 2"
    assert page.locator("#view-why").bounding_box()["y"] < size[1] / 2
    look("why")

    choose(explorer, ".carriers a")
    page.wait_for_selector(".scores tbody tr")
    look("channel")

    if choose is entered:
        page.keyboard.press("4")
        page.wait_for_selector("#tab-compare:focus")
    else:
        page.click("#tab-compare")
    page.wait_for_selector(BOTH_SIDES)
    explorer.settled()
    links.append(page.evaluate("location.hash"))
    if choose is entered:
        reached(explorer, "#with")
        page.keyboard.press("ArrowDown")
    else:
        page.select_option("#with", index=1)
    explorer.until("location.hash.includes('with=')")
    page.wait_for_selector(BOTH_SIDES)
    look("compare")

    colleague = visit(links[-1], size=size, scheme=scheme)
    colleague.page.wait_for_selector(BOTH_SIDES)
    colleague.settled()
    assert colleague.text("#view-compare") == explorer.text("#view-compare")
    assert colleague.page.input_value("#with") == page.input_value("#with")

    for view, link in zip(["compare", "why", "why", "maps"], reversed(links[:-1]), strict=True):
        page.go_back()
        is_at(explorer, view, link)
    explorer.shows("conv1")
    assert explorer.axe_failures() == []
