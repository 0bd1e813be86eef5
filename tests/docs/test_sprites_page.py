"""The atlas on the page is what the service answers."""

import json
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from layerscope import demo
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "sprites.md"


def test_the_atlas_is_the_one_of_a_seven() -> None:
    text = PAGE.read_text("utf-8")
    options = re.search(r"feature-map\.json\?image=sha256-…&(\S+)", text)
    shown = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert options is not None
    assert shown is not None
    with TestClient(create_app(Settings(models=None))) as http:
        sample = demo.samples()["seven"].read_bytes()
        url = f"/v1/models/digits/feature-map.json?{options[1]}"
        answer = http.post(url, content=sample, headers={"Content-Type": "image/png"}).json()

    expected = json.loads(shown[1])
    layer = expected.pop("layers")[0]
    tile = layer.pop("tiles")[0]
    found = answer["layers"][0]["tiles"][0]
    assert answer["colormap"] == expected.pop("colormap")
    assert found["slice"] is tile.pop("slice") is None
    assert {name: answer[name] for name in expected} == pytest.approx(expected, rel=1e-2)
    assert {name: answer["layers"][0][name] for name in layer} == layer
    assert {name: found[name] for name in tile} == pytest.approx(tile, rel=1e-2)
