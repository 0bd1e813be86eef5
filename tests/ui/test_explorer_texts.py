"""The explorer for a model that reads texts: a field in the place of the image, tokens in colours, layers and attention by token."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pytest
from explored_service import Served, Visit, needs_chromium

from layerscope.demo import MODELS, TEXT_MODEL
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app, local_engine

pytestmark = [needs_chromium, pytest.mark.wide]

SENTENCE = "An integer literal has no sign."
WORDS = ["[CLS]", "an", "integer", "literal", "has", "no", "sign", ".", "[SEP]"]
NUMBER = r"-?[\d.]+(e-\d+)?"
TOKENS = "#view-heat figure >> nth=0 >> .tokens li"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with the model `sentences`, and one of images."""
    models = tmp_path_factory.mktemp("texts")
    shutil.copytree(TEXT_MODEL, models / "sentences" / "1")
    shutil.copytree(MODELS / "digits", models / "digits")
    settings = Settings(models=models)
    engine = local_engine(settings)
    engine.load_all()
    served = Served(create_app(settings, engine))
    yield served.address
    served.stop()
    engine.close()


@pytest.fixture
def reader(visit: Callable[..., Visit], address: str) -> Callable[..., Visit]:
    """Open the model `sentences`, and write a sentence unless it is in the link."""

    def opened(link: str = "", **options: object) -> Visit:
        explorer = visit(f"#model=sentences@1&{link}", address=address, **options)
        explorer.page.wait_for_selector("#text")
        if "image=" not in link:
            explorer.page.fill("#text", SENTENCE)
            explorer.page.press("#text", "Enter")
            explorer.page.wait_for_selector("#predictions li")
        return explorer.settled()

    return opened


def image_of(explorer: Visit) -> str:
    return re.search(r"image=(sha256-\w+)", explorer.page.url)[1]


def test_a_sentence_is_written_kept_in_the_link_and_removed(visit, address: str) -> None:
    explorer = visit("#model=sentences@1", address=address).shows("words")
    page = explorer.page
    assert explorer.text("#image-title") == "Text"
    assert explorer.text("#readout").startswith("Write a text")
    assert page.is_hidden("#image")
    page.fill("#text", SENTENCE)
    page.keyboard.press("Enter")
    page.wait_for_selector("#predictions li >> nth=3")
    assert explorer.text("#predictions .class >> nth=0") == "numbers"
    explorer.shows("words")
    page.fill("#text", "A string is a sequence of characters.")
    page.click("#sentence button")
    explorer.until("document.querySelectorAll('#images button').length === 2")
    explorer.until("document.querySelector('#predictions .class').textContent === 'strings'")
    page.click(f"#images >> text={SENTENCE}")
    explorer.until("document.querySelector('#predictions .class').textContent === 'numbers'")
    assert page.input_value("#text") == SENTENCE
    page.reload()
    explorer.shows("words")
    assert page.input_value("#text") == SENTENCE
    link = f"#model=sentences@1&image={image_of(explorer)}"
    other = visit(link, address=address).shows("words")
    assert other.text("#predictions .class >> nth=0") == "numbers"
    with page.expect_response(lambda each: each.request.method == "DELETE") as deletion:
        page.click("#remove")
    assert deletion.value.status == 204
    explorer.until("document.querySelectorAll('#images button').length === 1")
    page.select_option("#model", "digits@1")
    explorer.shows("conv1")
    assert page.is_hidden("#text")
    assert page.get_attribute("#image", "alt") == "seven"


def test_tokens_have_the_colours_of_the_attribution_and_tell_their_numbers(reader) -> None:
    explorer = reader("view=heat&method=integrated-gradients")
    page = explorer.page
    page.wait_for_selector("#view-heat figure:nth-child(3) .tokens")
    words = [
        re.fullmatch(rf"(.+): ({NUMBER})", text) for text in page.locator(TOKENS).all_text_contents()[:-1]
    ]
    assert [word[1] for word in words] == WORDS
    values = [float(word[2]) for word in words]
    assert re.fullmatch(rf"\[PAD\] . 23: {NUMBER} to {NUMBER}", page.locator(TOKENS).last.text_content())
    colours = [each.evaluate("each => each.style.backgroundColor") for each in page.locator(TOKENS).all()]
    channels = [[int(part) for part in re.findall(r"\d+", colour)] for colour in colours]
    for value, (red, _, blue) in zip(values, channels, strict=False):
        if abs(value) > max(map(abs, values)) / 4:
            assert (red > blue) == (value > 0), (value, red, blue)
    low, high = page.locator("#view-heat figure >> nth=0 >> .scale").inner_text().split()
    assert float(high) == -float(low) == max(map(abs, values))
    page.focus(f"{TOKENS} >> nth=0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert explorer.text("#view-heat figure >> nth=0 >> .readout") == f"integer: {words[2][2]}"
    page.hover(f"{TOKENS} >> nth=4")
    assert explorer.text("#view-heat figure >> nth=0 >> .readout") == f"has: {words[4][2]}"


def test_rows_of_layers_and_both_sides_of_attention_are_tokens(reader) -> None:
    explorer = reader("layer=embedding").shows("embedding")
    page = explorer.page
    box = page.locator("#maps [role=gridcell]").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 5.5 / 32, box["y"] + box["height"] * 2.5 / 32)
    assert explorer.text("#readout").startswith("token 2 “integer”, feature 5: ")
    page.click("#tab-compare")
    explorer.until(
        "document.getElementById('readout').textContent.startsWith('There is nothing to compare with')"
    )
    page.click("#tab-maps")
    page.click("#layers [data-address='attention1@scores']")
    explorer.shows("attention1@scores")
    assert explorer.page.locator("#maps [role=gridcell]").count() == 2
    box = page.locator("#maps [role=gridcell] >> nth=0").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 6.5 / 32, box["y"] + box["height"] * 3.5 / 32)
    assert explorer.text("#readout").startswith("head 0 · 3 “literal” → 6 “sign”: ")
    assert box["x"] - page.locator("#maps-scroll").bounding_box()["x"] > 80, "There is no room for names."


def test_downloads_are_for_the_text(reader) -> None:
    explorer = reader("layer=embedding").shows("embedding")
    explorer.page.click("#downloads summary")
    explorer.page.wait_for_selector("#downloads pre >> nth=2")
    curl, python, javascript = explorer.page.locator("#downloads pre").all_text_contents()
    assert f"--data-raw '{SENTENCE}' -H 'Content-Type: text/plain; charset=utf-8'" in curl
    assert f'model.feature_map(Text("{SENTENCE}"), layer="embedding"' in python
    assert f'model.featureMap(new Text("{SENTENCE}"), ' in javascript
    run = subprocess.run(
        ["sh", "-c", curl.replace("-o picture.png", "-o -")], capture_output=True, check=True
    )
    assert run.stdout.startswith(b"\x89PNG")


VIEWS = {
    "maps": "#maps [role=gridcell]",
    "statistics": ".chart rect",
    "heat": "#view-heat figure:nth-child(3) .tokens",
    "compare": ".side [role=gridcell]",
    "why": "#view-why .carriers li",
}


@pytest.mark.parametrize(("scheme", "size"), [("light", (1440, 900)), ("dark", (360, 740))])
def test_texts_are_accessible_and_fit_a_telephone(reader, scheme: str, size: tuple[int, int]) -> None:
    explorer = reader("layer=attention1@scores", scheme=scheme, size=size).shows("attention1@scores")
    page = explorer.page
    page.fill("#text", "A string is a sequence of characters.")
    page.press("#text", "Enter")
    explorer.until("document.querySelectorAll('#images button').length === 2")
    link = f"#model=sentences@1&image={image_of(explorer)}&layer=attention1@scores"
    for view, sign in VIEWS.items():
        page.evaluate("link => { location.hash = link; }", f"{link}&view={view}&target=best")
        page.wait_for_selector(sign)
        explorer.settled()
        explorer.picture(f"text-{view}-{scheme}-{size[0]}")
        assert explorer.axe_failures() == [], view
        assert page.evaluate("() => document.documentElement.scrollWidth") <= size[0], view
