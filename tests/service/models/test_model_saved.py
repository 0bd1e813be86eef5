"""SavedModel folders in a model directory: who may open them, and what is told of them."""

import numpy as np
import pytest
from model_files import declare, pixels, tiny_model

from layerscope.errors import ModelRefused
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.graph.loading.prepare import prepare
from layerscope.models.directory import find_models


@pytest.fixture(scope="module")
def tiny():
    return tiny_model()


def export(model, directory, place):
    folder = directory / place
    model.export(folder, verbose=False)
    return folder


def loaded(directory, *, trusted):
    engine = LocalEngine(directory, trusted=trusted)
    engine.load_all()
    return engine


def digest(directory):
    (source,) = find_models(directory, trusted=True)
    return prepare(source).metadata.digest


@pytest.mark.parametrize("place", ["saved/3/model.savedmodel", "saved/3"])
def test_a_folder_is_served_like_a_file(tmp_path, tiny, place):
    export(tiny, tmp_path, place)
    declare(
        tmp_path / "saved" / "3", preprocessing={"preset": "signed"}, classes=["cat", "dog"], labels=["old"]
    )
    engine = loaded(tmp_path, trusted=True)
    description = engine.describe("saved@old")
    assert (description.version, description.parameters) == (3, tiny.count_params())
    assert description.memory_bytes == 4 * tiny.count_params()
    assert description.preprocessing["start"].size == (8, 8)
    assert [name for name, _ in description.outputs] == ["output_0"]
    values = pixels(2).astype(np.float32)
    query = Query(model="saved", sources={"image": [TensorSource(values)]}, layers=["conv", "outputs"])
    actual = engine.run(query).activations
    np.testing.assert_allclose(actual["conv"].values, tiny.get_layer("conv")(values), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(actual["dense"].values, tiny(values), rtol=1e-4, atol=1e-3)
    engine.close()


def test_without_trust_it_is_listed_with_what_to_do_and_nothing_of_it_is_read(tmp_path):
    folder = tmp_path / "saved" / "1" / "model.savedmodel"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"no graph")
    (folder.parent / "layerscope.json").write_text("no declaration", "utf-8")
    engine = loaded(tmp_path, trusted=False)
    (entry,) = engine.catalogue()
    assert entry.state == "failed"
    assert "start with --trust-savedmodel if you trust whoever made it, or save the model" in entry.reason
    engine.close()


def test_every_file_and_its_name_make_the_digest(tmp_path, tiny):
    folder = export(tiny, tmp_path, "saved/1")
    before = digest(tmp_path)
    assert digest(tmp_path) == before
    (folder / "assets").mkdir(exist_ok=True)
    (folder / "assets" / "first.txt").write_text("words", "utf-8")
    first = digest(tmp_path)
    (folder / "assets" / "first.txt").rename(folder / "assets" / "second.txt")
    assert len({before, first, digest(tmp_path)}) == 3


def test_no_architecture_is_declared_beside_it(tmp_path, tiny):
    folder = export(tiny, tmp_path, "saved/1")
    declare(folder, architecture="MobileNetV2", weights="random")
    with pytest.raises(ModelRefused, match="there is a model file beside it: remove one of them"):
        digest(tmp_path)
