"""Heat maps in the explorer: what is explained, by which options, and how it is drawn."""

import pytest
from explored_service import Visit, needs_chromium

pytestmark = needs_chromium

CONV1 = "#model=digits@1&layer=conv1&view=heat"


def line(explorer: Visit) -> str:
    """The sentences about the method."""
    return explorer.text("#view-heat > p")


def drawn(explorer: Visit, count: int, part: str = "") -> list[str]:
    """The addresses of the pictures, when so many are drawn, one of them with `part` in its address, and none is on its way."""
    explorer.until(
        "performance.getEntriesByType('resource').some((each) => each.name.includes(given))", part or "png?"
    )
    explorer.settled().until("document.querySelectorAll('.heat-maps img').length === given", count)
    return [url for url in explorer.requests_for(".png?") if "/attributions/" in url]


def test_a_heat_map_opens_at_the_last_spatial_layer_and_a_link_changes_it(visit) -> None:
    explorer = visit(CONV1)
    assert "layer=" not in drawn(explorer, 3)[0]
    assert line(explorer).startswith("Over conv3, the last layer with rows and columns.")
    explorer.page.click("text=Explain conv1")
    explorer.until("document.querySelector('#view-heat > p').innerText.startsWith('Over conv1.')")
    assert "layer=conv1" in drawn(explorer, 3)[-1]
    explorer.page.click("#layers li[data-address=conv2]")
    explorer.until("document.querySelector('#view-heat > p').innerText.startsWith('Over conv2.')")
    explorer.page.click("text=Explain the last one")
    explorer.until("document.querySelector('#view-heat > p').innerText.startsWith('Over conv3, the last')")


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        ("eigencam", "It looks at no class"),
        ("hirescam", "Negative values speak against the class"),
        ("gradcam", None),
    ],
)
def test_the_text_says_what_the_sign_of_a_method_means(visit, method: str, sentence: str | None) -> None:
    explorer = visit(f"{CONV1}&method={method}")
    drawn(explorer, 1 if method == "eigencam" else 3)
    said = line(explorer)
    assert sentence is None or sentence in said
    assert ("class" in said) is (sentence is not None)
    assert explorer.page.locator(".heat-maps b").first.inner_text() == (
        "the image" if method == "eigencam" else "7"
    )


def test_the_options_of_a_method_can_be_set(visit) -> None:
    explorer = visit(f"{CONV1}&method=integrated-gradients&target=7")
    drawn(explorer, 1)
    page = explorer.page
    assert "`" not in explorer.text("#view-heat")
    assert page.locator("#view-heat p code").all_inner_texts() == ["steps"]
    page.click(".options summary")
    assert page.get_attribute("[name=steps]", "placeholder") == "50"
    page.fill("[name=steps]", "3")
    page.keyboard.press("Enter")
    explorer.until("location.hash.includes('steps')")
    assert "steps=3" in drawn(explorer, 1, "steps=3")[-1]
    page.select_option("[name=baseline]", "white")
    explorer.until("location.hash.includes('white')")
    assert "steps=3&baseline=white" in drawn(explorer, 1, "baseline=white")[-1]
    explorer.picture("heat-options")
    page.select_option("[name=Method]", "occlusion")
    explorer.until("document.querySelector('.heat-maps img')?.alt === 'Occlusion of 7'")
    assert "baseline=white" in drawn(explorer, 1, "occlusion.png")[-1]
    assert "steps" not in drawn(explorer, 1)[-1]
    page.reload()
    explorer.until("document.querySelector('[name=baseline]')?.value === 'white'")


def test_any_class_is_explained_by_name_or_number(visit) -> None:
    explorer = visit(CONV1, may_fail=True)
    drawn(explorer, 3)
    page = explorer.page
    assert page.locator("#classes option").count() == 10
    assert "5" not in page.locator("#predictions .class").all_inner_texts()
    page.fill("[name=Class]", "5")
    page.keyboard.press("Enter")
    drawn(explorer, 1)
    assert page.locator(".heat-maps b").all_inner_texts() == ["5"]
    assert page.input_value("[name=Class]") == "5"
    page.fill("[name=Class]", "seven")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=has no class named 'seven'")
    page.fill("[name=Class]", "")
    page.keyboard.press("Enter")
    drawn(explorer, 3)


def test_heat_maps_are_drawn_again_without_another_computation(visit) -> None:
    explorer = visit(CONV1)
    drawn(explorer, 3)
    page = explorer.page
    computed = [url for url in explorer.requests_for("/attributions/") if ".png" not in url]
    ends = page.locator(".heat-maps .scale").all_inner_texts()
    assert len(set(ends)) == 3
    page.select_option("#view-heat [name=Palette]", "magma")
    page.select_option("[name='Cut off']", "2")
    page.locator("[name=Opacity]").fill("0.8")
    page.select_option("#view-heat [name=Range]", "yes")
    explorer.until(
        "new Set([...document.querySelectorAll('.heat-maps .scale')].map((each) => each.innerText)).size === 1"
    )
    last = drawn(explorer, 3)[-1]
    assert all(option in last for option in ("alpha=0.8", "colormap=magma", "range="))
    assert [url for url in explorer.requests_for("/attributions/") if ".png" not in url] == computed
    assert page.locator(".heat-maps .scale").first.inner_text() not in ends
    explorer.picture("heat-shared")
