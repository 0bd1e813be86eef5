"""The banner of the explorer about preprocessing that nobody declared."""

import re

import pytest
from explored_service import Served, needs_chromium

from layerscope.demo import photos
from layerscope.images import Preprocessing, decode
from layerscope.limits import Limits
from layerscope_client import Client

pytestmark = needs_chromium


def test_assumed_preprocessing_is_in_a_banner_and_another_preset_is_compared(visit, served: Served) -> None:
    explorer = visit("#model=nested@1&layer=stem").shows("stem")
    page = explorer.page
    assert "No preprocessing is declared for image: unit was assumed." in explorer.text("#assumed")
    assert explorer.text("#warnings") == ""
    page.select_option("#assumed select", "caffe")
    page.wait_for_selector("#assumed code")
    explorer.picture("assumed")
    said = explorer.text("#assumed")
    assert '{"preprocessing":{"preset":"caffe"}}' in said
    with_preset = re.search(r"With caffe: class (\d) (\S+); with unit: class (\d) (\S+)\.", said)
    assert with_preset
    assert with_preset[4] == explorer.text("#predictions .share >> nth=0")

    pixels = decode(photos()["cat"].read_bytes(), Limits())
    tensor = Preprocessing.preset("caffe", size=(16, 16)).apply(pixels)[None]
    best = Client(served.address).model("nested").predictions(tensor)["outputs"][0]["predictions"][0][0]
    assert int(with_preset[1]) == best["class"]
    assert float(with_preset[2]) == pytest.approx(best["value"], rel=1e-3)


def test_declared_preprocessing_has_no_banner(visit) -> None:
    explorer = visit("#model=digits@1").shows("conv1")
    assert explorer.page.is_hidden("#assumed")
    explorer.page.select_option("#model", "pair@1")
    explorer.page.wait_for_selector("#assumed >> text=for left and right: unit was assumed")
    assert explorer.page.locator("#assumed select").count() == 0
