"""The page on models names what the code knows."""

import json
import re
from pathlib import Path

import pytest

from layerscope.images.presets import PRESETS
from layerscope.models.architectures import build_architecture
from layerscope.models.directory import SUFFIXES
from layerscope.models.manifest import Manifest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "models.md"
TEXT = PAGE.read_text("utf-8")


@pytest.mark.parametrize("name", [*Manifest.model_fields, *PRESETS, *SUFFIXES])
def test_it_names_every_format_preset_and_field(name: str) -> None:
    assert f"`{name}`" in TEXT


def test_its_declarations_are_valid() -> None:
    declared = [
        Manifest.model_validate(json.loads(text)) for text in re.findall("```json\n(.*?)```", TEXT, re.DOTALL)
    ]
    architectures = [each for each in declared if each.architecture]

    assert len(declared) == 2
    assert [build_architecture(each, PAGE.parent).count_params() for each in architectures] == [423_018]
