"""The demo models as a place: `photos` has the weights of a package, and recognises the photographs."""

import sys

import numpy as np
import pytest

from layerscope import demo
from layerscope.errors import ModelRefused
from layerscope.images import Preprocessing, decode
from layerscope.limits import Limits
from layerscope.models.architectures import build_architecture
from layerscope.models.directory import find_models
from layerscope.models.manifest import Manifest
from layerscope.models.mirrors import DEMO, is_elsewhere, mirror_of


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    mirror = mirror_of(DEMO, tmp_path_factory.mktemp("cache"), Limits())
    assert mirror.refresh() == {}
    return mirror


def test_the_photographs_are_what_the_network_says_they_are(mirror):
    (_, source) = find_models(mirror.directory)
    declared = Manifest.read(source.folder)
    preprocessing = Preprocessing.declared(declared.preprocessing_of("image"))
    inputs = [preprocessing.apply(decode(path.read_bytes(), Limits())) for path in demo.photos().values()]
    values = build_architecture(declared, source.folder)(np.stack(inputs)).numpy()
    cat, cup, rocket = values
    assert list(demo.photos()) == ["cat", "cup", "rocket"]
    assert cat[[281, 282, 285]].sum() == pytest.approx(0.94, abs=0.01)
    assert cup[967] == pytest.approx(0.94, abs=0.01)
    assert rocket[657] == pytest.approx(0.57, abs=0.02)
    names = declared.classes
    assert len(set(names)) == 1_000
    assert [names[row.argmax()] for row in values] == ["Egyptian cat", "espresso", "missile"]
    assert [names[number] for number in (281, 282, 285)] == ["tabby", "tiger cat", "Egyptian cat"]


def test_it_is_fetched_once(mirror):
    before = {source.key: source.path for source in find_models(mirror.directory)}
    assert list(before) == [("digits", 1), ("photos", 1)]
    assert mirror.refresh() == {}
    assert {source.key: source.path for source in find_models(mirror.directory)} == before


def test_without_the_package_photos_is_refused_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [each for each in sys.path if "site-packages" not in each])
    mirror = mirror_of(DEMO, tmp_path, Limits())
    ((key, error),) = mirror.refresh().items()
    assert key == ("photos", 1)
    assert isinstance(error, ModelRefused)
    assert "pip install 'layerscope[photos]'" in error.message
    assert [source.key for source in find_models(mirror.directory)] == [("digits", 1)]


def test_the_source_has_one_name():
    assert is_elsewhere("layerscope:demo")
    assert not is_elsewhere("layerscope:other")
