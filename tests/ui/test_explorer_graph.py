"""The graph of the explorer as a way through a model: blocks, zoom, the map of the whole, paths and the keyboard."""

from typing import Any

import pytest
from explored_models import BLOCKS
from explored_service import Visit, needs_chromium

pytestmark = needs_chromium

LINK = "#model=residual@1&layer=block_3_relu&view=graph"
LAYERS = 4 * BLOCKS + 4
"""The image, the stem, the blocks, a pooling and the classes."""

DEPTHS_OF_LINES = """async ([count, far]) => {
    const { layOut } = await import('/ui/layout.js');
    const ids = Array.from({ length: count }, (_, place) => String(place));
    const boxes = new Map(ids.map((id) => [id, { id, rank: 0, width: 244, x: 0, y: 0 }]));
    const chain = ids.slice(1).map((id, place) => ({ source: ids[place], target: id }));
    const skips = ids.slice(0, count - far).map((id, place) => ({ source: id, target: ids[place + far] }));
    const { lines, width } = layOut(boxes, [...chain, ...skips]);
    const between = lines.flatMap(({ path }) => path.slice(1, -1));
    const inBoxes = between.filter(({ x, rank }) => Math.abs(x - boxes.get(String(rank)).x) < 110);
    return { places: between.length, lanes: new Set(between.map(({ x }) => x)).size, inBoxes: inBoxes.length, width };
}"""


def graph(visit: Any, link: str = LINK, **options: Any) -> Visit:
    explorer = visit(link, **options)
    explorer.page.wait_for_selector(".box[aria-current]")
    return explorer.settled()


def boxes(explorer: Visit) -> list[str]:
    return explorer.page.locator(".box").evaluate_all("all => all.map((each) => each.dataset.address)")


def focused(explorer: Visit) -> str:
    return explorer.page.evaluate("document.activeElement.dataset.address")


def scale(explorer: Visit) -> int:
    return int(explorer.text(".zoom-scale").removesuffix("%"))


def in_view(explorer: Visit, address: str) -> None:
    explorer.until(
        """(() => {
            const box = document.querySelector(`.box[data-address="${given}"]`)?.getBoundingClientRect();
            const frame = document.querySelector('.graph').getBoundingClientRect();
            return box && box.top >= frame.top && box.bottom <= frame.bottom;
        })()""",
        address,
    )


def test_layers_whose_names_begin_alike_are_one_box_until_it_is_opened(visit) -> None:
    explorer = graph(visit)
    page = explorer.page
    assert {"block_1_*", "block_2_*", "block_3_expand", "block_3_add", "block_4_*"} <= set(boxes(explorer))
    assert "4 layers" in page.locator(".box[data-address='block_1_*']").text_content()
    page.click(".box[data-address='block_4_*']")
    page.wait_for_selector(".box[data-address=block_4_expand]")
    page.click("[aria-label='Fold block_3_*']")
    page.wait_for_selector(".box[data-address='block_3_*'][aria-current]")
    page.click("#layers li[data-address=block_6_add]")
    in_view(explorer, "block_6_add")
    page.click("text=Fold all")
    page.wait_for_selector(".box[data-address='block_6_*'][aria-current]")
    assert [each for each in boxes(explorer) if each.startswith("block")] == [
        f"block_{number}_*" for number in range(1, BLOCKS + 1)
    ]


def test_only_what_is_in_view_is_in_the_page_and_all_of_it_fits(visit) -> None:
    explorer = graph(visit)
    page = explorer.page
    page.click("text=Open all")
    page.wait_for_selector(".box[data-address=block_2_add]")
    in_view(explorer, "block_3_relu")
    assert len(boxes(explorer)) < LAYERS / 2
    page.click("button:text-is('Fit')")
    explorer.until("document.querySelectorAll('.box').length === given", LAYERS)
    in_view(explorer, "classes")
    assert page.locator(".distant").count() == 1
    assert page.locator(".minimap.unneeded").count() == 1
    explorer.picture("graph-fitting")


def test_it_zooms_by_buttons_keys_and_wheel_about_what_is_pointed_at(visit) -> None:
    explorer = graph(visit)
    page = explorer.page
    assert scale(explorer) == 100
    page.click("[aria-label='Zoom in']")
    assert scale(explorer) == 125
    page.focus(".box[aria-current]")
    page.keyboard.press("-")
    page.keyboard.press("-")
    assert scale(explorer) == 80
    page.keyboard.press("0")
    assert scale(explorer) < 60
    box = page.locator(".box[aria-current]").bounding_box()
    before = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*before)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    explorer.until("parseInt(document.querySelector('.zoom-scale').value) > 60")
    page.keyboard.up("Control")
    box = page.locator(".box[aria-current]").bounding_box()
    assert box["y"] + box["height"] / 2 == pytest.approx(before[1], abs=3)


def test_the_map_of_the_whole_leads_to_a_part_and_the_mouse_moves_the_graph(visit) -> None:
    explorer = graph(visit)
    page = explorer.page
    page.click("text=Open all")
    in_view(explorer, "block_3_relu")
    whole = page.locator(".minimap").bounding_box()
    page.mouse.click(whole["x"] + whole["width"] / 2, whole["y"] + whole["height"] - 2)
    in_view(explorer, "classes")
    frame = page.locator(".graph").bounding_box()
    top = page.locator(".graph").evaluate("each => each.scrollTop")
    page.mouse.move(frame["x"] + 20, frame["y"] + 100)
    page.mouse.down()
    page.mouse.move(frame["x"] + 20, frame["y"] + 180)
    page.mouse.up()
    assert page.locator(".graph").evaluate("each => each.scrollTop") == pytest.approx(top - 80, abs=2)


def test_boxes_show_shapes_and_values_of_the_image(visit) -> None:
    explorer = graph(visit)
    page = explorer.page
    image = ".box[data-address=block_3_relu] image"
    page.wait_for_selector(image)
    assert "8 \u00d7 8 \u00d7 4" in page.locator(".box[data-address=block_3_relu]").text_content()
    before = page.get_attribute(image, "href")
    page.click("#images button >> nth=1")
    explorer.until(f"document.querySelector('{image}')?.getAttribute('href') !== given", before)


def test_the_path_of_the_layer_stands_out(visit) -> None:
    explorer = graph(visit, "#model=siamese@1&layer=tower:1&view=graph")
    on_path = explorer.page.locator(".box.on-path").evaluate_all(
        "all => all.map((each) => each.dataset.address)"
    )
    assert on_path == ["positive", "tower:1", "both", "out"]
    assert explorer.page.locator(".graph path.near").count() == 2
    assert explorer.page.locator(".graph path.on-path").count() == 1


def test_keys_follow_the_lines(visit) -> None:
    explorer = graph(visit)
    keys = explorer.page.keyboard
    explorer.page.focus(".box[aria-current]")
    for key, expected in {
        "ArrowDown": "block_3_project",
        "ArrowUp": "block_3_relu",
        "End": "classes",
        "Home": "image",
    }.items():
        keys.press(key)
        assert focused(explorer) == expected
        in_view(explorer, expected)
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    assert focused(explorer) == "block_1_*"
    keys.press("Enter")
    explorer.until("document.activeElement.dataset.address === 'block_1_expand'")
    keys.press("Enter")
    explorer.shows("block_1_expand")
    explorer.until("document.activeElement.matches('.box[aria-current]')")


def test_layers_in_folded_blocks_are_found(visit) -> None:
    explorer = graph(visit)
    explorer.page.fill("#view-graph input", f"block_{BLOCKS}_relu")
    in_view(explorer, f"block_{BLOCKS}_*")
    assert explorer.text("#view-graph [role=status]") == "1 found"
    assert explorer.page.locator(".box:not(.dim)").evaluate_all(
        "all => all.map((each) => each.dataset.address)"
    ) == [f"block_{BLOCKS}_*"]
    explorer.page.keyboard.press("Enter")
    assert focused(explorer) == f"block_{BLOCKS}_*"


@pytest.mark.parametrize("far", [3, 500])
def test_a_line_has_few_places_however_far_it_goes(visit, far: int) -> None:
    explorer = visit(LINK)
    laid = explorer.page.evaluate(DEPTHS_OF_LINES, [1000, far])
    assert laid["places"] <= 2 * 1000
    assert laid["inBoxes"] == 0
    if far == 500:
        # The last line has the lane of the first, which has ended there.
        assert laid["lanes"] == 499
