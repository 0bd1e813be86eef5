"""The page on monitoring names every figure that there is, and no other."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from layerscope.demo import samples
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "monitoring.md").read_text("utf-8")


def test_it_names_every_figure() -> None:
    with TestClient(create_app(Settings(models=None, watch_layers=("digits:conv1",)))) as http:
        seven = samples()["seven"].read_bytes()
        for _ in ("computed", "cached"):
            http.post("/v1/models/digits/predictions", content=seven, headers={"Content-Type": "image/png"})
        http.get("/v1/models/none")
        families = list(text_string_to_metric_families(http.get("/metrics").text))
    there = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in families
        if family.samples and re.fullmatch(r"layerscope_\w+(?<!_created)", family.name)
    }
    assert set(re.findall(r"`(layerscope_\w+)`", TEXT)) == there
