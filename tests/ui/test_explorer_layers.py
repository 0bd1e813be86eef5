"""The list of layers of the explorer, and the graph: searching, folding, one entry for each call."""

from explored_service import Visit, needs_chromium

pytestmark = needs_chromium

CONVOLUTIONS = ["tower/stem", *(f"tower/resblock/conv{call}" for call in ("", ":1"))]


def visible(explorer: Visit) -> list[str]:
    rows = explorer.page.locator("#layers li:not([hidden])").all()
    return [each.get_attribute("data-address") for each in rows]


def search(explorer: Visit, text: str, count: int) -> list[str]:
    explorer.page.fill("#find", text)
    explorer.until("document.querySelectorAll('#layers li:not([hidden])').length === given", count)
    return visible(explorer)


def test_what_is_found_is_in_view_and_nothing_is_said_to_be_nothing(visit) -> None:
    explorer = visit("#model=siamese@1&layer=out").shows("out")
    page = explorer.page
    assert page.locator("#layers-scroll").evaluate("each => each.scrollTop") > 0
    search(explorer, "stem", 3)
    assert explorer.text("#layers-count") == "3 of 32"
    first, frame = (
        page.locator("#layers li:not([hidden])").first.bounding_box(),
        page.locator("#layers-scroll").bounding_box(),
    )
    assert frame["y"] <= first["y"] < frame["y"] + frame["height"] / 2
    search(explorer, "no such thing", 0)
    assert explorer.text("#layers-none") == "No layer has “no such thing” in its name or type."
    page.keyboard.press("Escape")
    explorer.until("document.querySelectorAll('#layers li:not([hidden])').length === 32")
    assert page.is_hidden("#layers-none")
    page.wait_for_selector("#layers [aria-selected=true]", state="visible")


def test_selectors_and_types_work_in_the_search(visit) -> None:
    explorer = visit("#model=siamese@1").shows("tower/stem")
    page = explorer.page
    assert set(CONVOLUTIONS) < set(search(explorer, "type:Conv2D", 9))
    assert page.locator("#types").evaluate("each => each.selectedOptions[0].text") == "Conv2D (9)"
    additions = search(explorer, "**/add", 6)
    assert additions == ["tower/resblock/add", *(f"tower/resblock/add:{call}" for call in range(1, 6))]
    assert search(explorer, "outputs", 1) == ["out"]
    page.select_option("#types", label="Dense (1)")
    explorer.until("document.querySelectorAll('#layers li:not([hidden])').length === 1")
    assert visible(explorer) == ["out"]
    page.select_option("#types", label="all types")
    explorer.until("document.querySelectorAll('#layers li:not([hidden])').length === 32")


def test_a_selector_that_selects_nothing_says_what_is_near(visit) -> None:
    explorer = visit("#model=siamese@1", may_fail=True).shows("tower/stem")
    search(explorer, "type:Conv2", 0)
    explorer.page.wait_for_selector("#layers-none >> text=type:Conv2")


def test_arrows_in_the_search_choose_among_what_is_found(visit) -> None:
    explorer = visit("#model=siamese@1").shows("tower/stem")
    keys = explorer.page.keyboard
    search(explorer, "stem", 3)
    for expected in ("tower/stem:1", "tower/stem:2"):
        keys.press("ArrowDown")
        explorer.shows(expected)
    keys.press("ArrowUp")
    explorer.shows("tower/stem:1")
    assert explorer.page.evaluate("document.activeElement.id") == "find"


def test_groups_fold_and_open_again_for_a_layer_inside(visit) -> None:
    explorer = visit("#model=siamese@1&layer=out").shows("out")
    page = explorer.page
    page.click("[data-address='tower:1'] .fold")
    assert not any(
        each in visible(explorer) for each in ("tower/stem:1", "tower/resblock:2", "tower/resblock/conv:2")
    )
    assert {"tower:1", "tower/stem", "tower/stem:2"} <= set(visible(explorer))
    page.click("[data-address='tower'] b")
    explorer.shows("tower")
    page.focus("#layers")
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("[data-address=tower]", "aria-expanded") == "false"
    assert "tower/stem" not in visible(explorer)
    page.keyboard.press("ArrowDown")
    explorer.shows("tower:1")
    page.evaluate("location.hash = '#model=siamese@1&layer=tower/resblock/conv:2'")
    explorer.shows("tower/resblock/conv:2")
    assert "tower/resblock/conv:2" in visible(explorer)


def test_thumbnails_are_in_the_chosen_palette_and_name_their_map(visit) -> None:
    explorer = visit("#model=digits@1").shows("conv1")
    thumbnail = "[data-address=conv2] canvas"
    explorer.until("[...document.querySelectorAll('.thumbnail')].every(({ width }) => width > 1)")
    assert explorer.text("[data-address=conv2] .layer-channel").removeprefix("· map ").isdigit()
    assert explorer.text("[data-address=dense] .layer-channel") == ""
    before = explorer.drawing(thumbnail)
    explorer.page.select_option("#palette", "magma")
    explorer.draws_other_than(before, thumbnail)


def test_every_call_of_a_shared_model_has_a_box_of_its_own(visit) -> None:
    explorer = visit("#model=siamese@1&layer=out&view=graph").shows("out")
    page = explorer.page
    assert page.locator(".box.group .name").all_text_contents() == ["▸ tower", "▸ tower:1", "▸ tower:2"]
    page.click(".box.group[data-address='tower:1']")
    page.wait_for_selector("[aria-label='Fold tower:1']")
    names = page.locator(".box .name").all_text_contents()
    assert {"▸ tower", "▸ tower:2", "stem:1", "▸ resblock:2", "▸ resblock:3", "pool:1"} <= set(names)
    page.click(".box.group[data-address='tower/resblock:2']")
    page.click(".box[data-address='tower/resblock/conv:2']")
    explorer.shows("tower/resblock/conv:2")
    explorer.picture("graph-of-calls")
