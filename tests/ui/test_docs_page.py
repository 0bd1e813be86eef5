"""The page of the API documentation, in Chromium: one entry for each path, examples that work, and a form that sends requests."""

import shlex
import subprocess
from pathlib import Path

import pytest
from explored_service import AXE, Visit, needs_chromium

from layerscope.demo import samples

pytestmark = [needs_chromium, pytest.mark.wide]

PREDICTIONS = "details[data-operations~=post_predictions]"


def opened(visit, selector: str) -> Visit:
    docs = visit(path="/docs")
    docs.page.wait_for_selector("#routes details")
    docs.page.click(f"{selector} summary")
    docs.page.wait_for_selector(f"{selector} .inside")
    return docs


def test_people_find_the_layers_first_and_each_path_once(visit) -> None:
    docs = visit(path="/docs")
    docs.page.wait_for_selector("#routes details")
    groups = docs.page.locator("#routes h2").all_text_contents()
    assert groups[:3] == ["predictions", "activations", "pictures"]
    assert groups[-1] == "Open Inference Protocol (/v2)"
    paths = docs.page.locator("#routes .path").all_inner_texts()
    assert len(set(paths)) == len(paths)
    meanings = docs.page.locator("#routes summary .meaning").all_inner_texts()
    assert all(" " in each for each in meanings)
    assert not any(each.startswith(("Post ", "Get ")) for each in meanings)
    assert docs.page.locator(f"{PREDICTIONS} .method").all_inner_texts() == ["GET", "POST"]


def test_an_example_works_as_it_is_written(visit, tmp_path: Path) -> None:
    docs = opened(visit, PREDICTIONS)
    example = docs.page.locator(f"{PREDICTIONS} pre").nth(1).inner_text()
    (tmp_path / "image.png").write_bytes(samples()["seven"].read_bytes())
    command = [*shlex.split(example), "--silent", "--fail"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=60).stdout
    assert b'"predictions"' in answer


def test_a_request_is_sent_from_the_page(visit) -> None:
    docs = opened(visit, PREDICTIONS)
    page, form = docs.page, f"{PREDICTIONS} form"
    page.fill(f"{form} [aria-label=top]", "1")
    page.set_input_files(f"{form} [aria-label^='Store an image']", samples()["seven"])
    docs.until("document.querySelector(given).value.startsWith('sha256-')", f"{form} [aria-label=image]")
    page.click(f"{form} button")
    page.wait_for_selector(f"{form} >> text=200 OK")
    assert '"name": "7"' in docs.text(f"{form} pre")
    docs.picture("docs")
    page.select_option(f"{form} [aria-label=Method]", "post")
    page.set_input_files(f"{form} [aria-label='Image for the body']", samples()["two"])
    page.fill(f"{form} [aria-label=image]", "")
    page.click(f"{form} button")
    docs.until("""document.querySelector(given)?.textContent.includes('"name": "2"')""", f"{form} pre")


def test_a_picture_is_shown_and_axe_finds_nothing(visit) -> None:
    overlay = "details[data-operations~=post_feature_map]"
    docs = opened(visit, overlay)
    page, form = docs.page, f"{overlay} form"
    page.select_option(f"{form} [aria-label=Method]", "post")
    page.set_input_files(f"{form} [aria-label='Image for the body']", samples()["two"])
    page.click(f"{form} button")
    page.wait_for_selector(f"{form} img")
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("() => axe.run({ resultTypes: ['violations'] })")["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found] == []
