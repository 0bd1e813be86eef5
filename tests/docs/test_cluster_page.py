"""The page on clusters names settings, limits, metrics and manifests that there are."""

import dataclasses
import re
from pathlib import Path

from layerscope.limits import Limits
from layerscope_api.context.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "how-to" / "cluster.md").read_text("utf-8")


def test_settings_and_limits_exist() -> None:
    settings = {name.lower() for name in re.findall(r"LAYERSCOPE_(\w+)", TEXT)}
    assert settings
    assert settings <= Settings.model_fields.keys()
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", TEXT))
    metrics = {name for name in named if name.startswith("layerscope_")}
    limits = {each.name for each in dataclasses.fields(Limits)}
    assert named - metrics <= limits | Settings.model_fields.keys()


def test_manifests_exist_and_are_all_named() -> None:
    folder = ROOT / "docker" / "kubernetes"
    named = set(re.findall(r"[\w-]+\.yaml", TEXT))
    assert named <= {path.name for path in folder.iterdir()}
    assert {"replicas.yaml", "kserve-autoscaled.yaml", "extract.yaml", "layerscope.yaml"} <= named
