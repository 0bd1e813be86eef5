"""The explorer for models that read arrays: signals as curves with the map below, volumes and films by slices, files of arrays."""

import io
import json
import subprocess
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from explored_models import ARRAYS
from explored_service import Visit, needs_chromium
from numpy.typing import NDArray

from models_of_axes import CASES

pytestmark = needs_chromium

Array = NDArray[Any]


@pytest.fixture
def reader(visit: Callable[..., Visit]) -> Callable[..., Visit]:
    """Open a model with an array of its kind."""

    def opened(name: str, link: str = "", **options: object) -> Visit:
        explorer = visit(f"#model={name}@1&{link}", **options)
        explorer.page.wait_for_selector("#no-image", state="visible")
        give(explorer, f"{name}.npy", npy(CASES[name].values[0]))
        explorer.page.wait_for_selector("#image")
        return explorer.settled()

    return opened


def npy(values: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def give(explorer: Visit, name: str, data: bytes) -> None:
    """Open a file as a person does."""
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    explorer.page.set_input_files("#file", file)


def asked(explorer: Visit, part: str) -> dict[str, str]:
    """The options of the last request for a picture."""
    query = parse_qs(urlsplit(explorer.requests_for(part)[-1]).query)
    return {name: values[-1] for name, values in query.items()}


def test_a_signal_is_a_curve_its_layers_are_curves_and_the_map_lies_below_it(reader, visit) -> None:
    explorer = reader("series", "layer=last")
    page, link = explorer.page, f"#{explorer.page.url.partition('#')[2]}"
    assert explorer.text("#image-title") == "Signal"
    assert page.get_attribute("#image", "alt") == "series.npy"
    curves = page.wait_for_selector("#curves img")
    assert curves.get_attribute("alt") == "Curves of channels 0 to 4 of last"
    assert asked(explorer, "layer=last").items() >= {"curves": "true", "channels": "0-4"}.items()
    assert page.is_hidden("#maps-scroll")
    assert explorer.text("#scale-high") == "highest of each"
    page.select_option("#drawn", "values")
    page.wait_for_selector("#maps [role=gridcell]")
    page.wait_for_selector("#curves", state="hidden")
    assert page.get_attribute("#maps [role=gridcell]", "aria-label").startswith("matrix of 10 by 5")
    page.click("#tab-heat")
    page.wait_for_selector(".heat-maps figure:nth-child(3) img")
    assert "Over last, the last layer with an axis of time" in explorer.text("#view-heat > p")
    width, height = page.evaluate(
        "() => { const { naturalWidth, naturalHeight } = document.querySelector('.heat-maps img'); return [naturalWidth, naturalHeight]; }"
    )
    assert (width, height > 300) == (732, True), "Two curves, and the map below them."
    explorer.picture("signal-heat")
    other = visit(link)
    other.page.wait_for_selector("#curves img")
    assert other.page.get_attribute("#image", "alt") == "signal of the link"
    page.click("#remove")
    page.wait_for_selector("#no-image", state="visible")
    page.wait_for_selector("#image", state="hidden")


def test_a_slider_chooses_the_slice_of_a_volume_of_its_maps_and_of_its_attribution(reader) -> None:
    explorer = reader("volume", "layer=first").shows("first")
    page = explorer.page
    slider = page.get_by_role("slider", name="depth")
    assert slider.input_value() == "3", "It begins in the middle."
    assert page.get_attribute("#image", "alt") == "volume.npy, depth 3"
    middle = explorer.drawing("#maps-canvas")
    slider.focus()
    page.keyboard.press("End")
    explorer.until("document.getElementById('image').alt.endsWith('depth 5')")
    explorer.draws_other_than(middle, "#maps-canvas")
    assert slider.get_attribute("aria-valuetext") == "5, the last is 5"
    assert slider.evaluate("each => each === document.activeElement")
    assert "slice=5" in page.url
    hovered = page.locator("#maps [role=gridcell]").first
    hovered.hover()
    # The layer has four slices where the volume has six.
    explorer.until("document.getElementById('readout').textContent.includes('slice 3, row')")
    page.click("#tab-heat")
    page.wait_for_selector(".heat-maps figure:nth-child(3) img")
    assert asked(explorer, "gradcam.png")["slice"] == "5"
    slider.focus()
    page.keyboard.press("Home")
    explorer.until(
        "performance.getEntriesByType('resource').some(({ name }) => name.includes('gradcam.png') && name.includes('slice=0'))"
    )
    explorer.settled()


def test_downloads_are_for_the_curves_or_the_slice_that_are_shown(reader) -> None:
    for name, layer, options in (
        ("series", "last", "curves=true&channels=0-4&"),
        ("volume", "first", "slice=2"),
    ):
        explorer = reader(name, f"layer={layer}").shows(layer)
        explorer.page.click("#downloads summary")
        curl = explorer.page.wait_for_selector("#downloads pre").text_content()
        assert options in curl
        run = subprocess.run(
            ["sh", "-c", curl.replace("-o picture.png", "-o -")], capture_output=True, check=True
        )
        assert run.stdout.startswith(b"\x89PNG")


def test_files_of_arrays_are_opened_as_the_model_takes_them_or_refused(visit) -> None:
    explorer = visit("#model=series@1")
    page = explorer.page
    page.wait_for_selector("#no-image", state="visible")
    assert explorer.text("#no-image") == "Open a .npy or .json file of 24 \u00d7 2 numbers."
    first, second = CASES["series"].values
    give(explorer, "both.npy", npy(np.stack([first, second])))
    explorer.until("document.querySelectorAll('#images button').length === 2")
    assert page.locator("#images button").all_inner_texts() == ["both.npy 0", "both.npy 1"]
    give(explorer, "one.json", json.dumps((first + 1).tolist()).encode())
    explorer.until("document.querySelectorAll('#images button').length === 3")
    for name, data, reason in (
        (
            "flat.npy",
            npy(first[0]),
            "flat.npy has the shape 2; signal takes 24 \u00d7 2, or several of these.",
        ),
        (
            "torn.json",
            b"[[1, 2], [3]]",
            "torn.json cannot be read: It must be lists of numbers, all of one length.",
        ),
        ("text.npy", b"no", "text.npy cannot be read: This is no .npy file."),
        ("seven.png", b"x", "series@1 takes .npy or .json files, not seven.png."),
    ):
        give(explorer, name, data)
        page.wait_for_selector(f"#problem >> text={reason}")
    assert page.locator("#images button").count() == 3
    # What was on its way when the file was refused does not hide why.
    held: list[Any] = []
    page.route("**/feature-map.png*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright wants a function
    page.click("[data-address='last'] b")
    explorer.until("document.body.classList.contains('waiting')")
    give(explorer, "torn.npy", b"no")
    page.wait_for_selector("#problem >> text=torn.npy cannot be read: This is no .npy file.")
    for each in held:
        each.continue_()
    page.unroute("**/feature-map.png*")
    explorer.until("!document.body.classList.contains('waiting')")
    assert page.is_visible("#problem")


@pytest.mark.wide
def test_each_input_has_an_array_of_its_own(visit) -> None:
    explorer = visit("#model=leads@1&layer=both")
    page = explorer.page
    page.wait_for_selector("#no-image", state="visible")
    give(explorer, "long.npy", npy(np.ones(24, np.float32)))
    page.wait_for_selector("#images >> text=long.npy")
    explorer.until(
        "document.getElementById('readout').textContent.startsWith('Open a signal for the input short: ')"
    )
    page.click("#slots >> text=short")
    explorer.until("document.getElementById('no-image').textContent.includes('12 \u00d7 2')")
    assert page.locator("#images button").count() == 0, "The long signal does not fit."
    give(explorer, "short.npy", npy(np.ones((12, 2), np.float32)))
    explorer.until("document.getElementById('image').alt === 'short.npy'")
    page.click("#slots >> text=long")
    explorer.until("document.getElementById('image').alt === 'long.npy'")
    page.click("#remove")
    page.wait_for_selector("#no-image", state="visible")


VIEWS = {
    "maps": {"series": "#curves img", "volume": "#maps [role=gridcell]", "film": "#maps [role=gridcell]"},
    "statistics": ".chart rect",
    "heat": ".heat-maps figure:nth-child(3) img",
    "compare": ".side [role=gridcell]",
    "why": "#view-why .carriers p",
    "whatif": "#view-whatif .effect",
}


@pytest.mark.wide
@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize(("scheme", "size"), [("light", (1440, 900)), ("dark", (360, 740))])
def test_arrays_are_accessible_and_fit_a_telephone(
    reader, name: str, scheme: str, size: tuple[int, int]
) -> None:
    explorer = reader(name, f"layer={CASES[name].layer}", scheme=scheme, size=size)
    page = explorer.page
    give(explorer, "other.npy", npy(CASES[name].values[1]))
    explorer.until("document.querySelectorAll('#images button').length === 2")
    explorer.settled()
    link = page.url.partition("#")[2]
    for view, sign in VIEWS.items():
        page.evaluate("link => { location.hash = link; }", f"{link}&view={view}")
        page.wait_for_selector(sign if isinstance(sign, str) else sign[name])
        explorer.settled()
        explorer.picture(f"array-{name}-{view}-{scheme}-{size[0]}")
        assert explorer.axe_failures() == [], view
        assert page.evaluate("() => document.documentElement.scrollWidth") <= size[0], view
