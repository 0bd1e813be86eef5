"""What-ifs in the explorer: what each channel does for a class, and what is left of a prediction without some."""

import pytest
from explored_service import Visit, needs_chromium

pytestmark = needs_chromium

DENSE = "#model=digits@1&layer=dense&view=whatif"


def bars(explorer: Visit, place: str = "#view-whatif > .bars") -> list[str]:
    """The rows, when they are there."""
    explorer.page.wait_for_selector(f"{place} .effect")
    return [text.replace("\n", " ") for text in explorer.page.locator(f"{place} .effect").all_inner_texts()]


def test_bars_name_the_channels_that_carry_the_class(visit) -> None:
    explorer = visit(DENSE)
    rows = bars(explorer)
    assert [row.split()[1] for row in rows[:3]] == ["3", "26", "2"]
    assert rows[0].split()[-1].startswith("6.28")
    assert "channels are 0 already" in explorer.text("#view-whatif")
    explorer.page.select_option("[name=Class]", "3")
    explorer.until("location.hash.includes('target=3')")
    explorer.settled().until(
        "document.querySelector('.bars .effect')?.innerText.includes(given) === false", "channel 3"
    )


def test_channels_that_are_switched_off_change_predictions_and_later_layers(visit) -> None:
    explorer = visit(DENSE)
    bars(explorer)
    for channel in (3, 26, 2):
        explorer.page.check(f"[name='off {channel}']")
        explorer.until(
            "location.hash.includes('off=') && document.querySelector(given)?.checked",
            f"[name='off {channel}']",
        )
    explorer.settled().until("document.querySelector('.result h3')?.textContent === 'Without 3 channels'")
    assert explorer.page.evaluate("document.activeElement.name") == "off 2"
    before, after = explorer.page.locator(".result ol").all_inner_texts()
    assert before.startswith("7 100")
    assert after.startswith("3 59.9")
    assert [row.split()[0] for row in bars(explorer, ".result .bars")] == ["probabilities"]
    explorer.page.wait_for_selector(".change img")
    explorer.picture("whatif")
    explorer.page.click("text=Switch all on")
    explorer.until("!location.hash.includes('off=')")
    explorer.page.wait_for_selector(".result h3", state="detached")


def test_the_map_of_the_change_is_that_of_a_chosen_layer(visit) -> None:
    explorer = visit("#model=digits@1&layer=conv1&view=whatif&off=1,5")
    explorer.page.wait_for_selector(".change img")
    assert "in pool1" in explorer.text(".change figcaption")
    explorer.page.click(".result button:has-text('conv3')")
    explorer.until("document.querySelector('.change figcaption')?.textContent.includes('in conv3')")
    explorer.picture("whatif-map")
    explorer.page.click("#layers li[data-address=conv2]")
    explorer.until("!location.hash.includes('off=')")


@pytest.mark.parametrize("layer", ["probabilities", "input"])
def test_a_layer_without_an_effect_says_why(visit, layer: str) -> None:
    explorer = visit(f"#model=digits@1&layer={layer}&view=whatif")
    if layer == "input":
        assert len(bars(explorer)) == 1
    else:
        explorer.page.wait_for_selector(".missing")
        assert "does not depend on" in explorer.text(".missing")
        explorer.problems.clear()


def test_two_models_are_compared_in_every_layer(visit) -> None:
    explorer = visit("#model=digits@1&layer=conv2&view=compare&with=model:digits_again@1")
    explorer.page.wait_for_selector(".curve img")
    assert "No layer differs." in explorer.text(".curve")
    explorer.picture("compare-curve")
