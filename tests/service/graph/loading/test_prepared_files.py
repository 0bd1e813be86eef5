"""Opened models that are kept on the disk: found again when nothing has changed, and otherwise made again."""

import json
import os
import resource
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import pytest
from graph_models import noise, residual_model
from keras import layers

from layerscope.errors import ModelRefused
from layerscope.graph.loading.prepare import prepare
from layerscope.graph.loading.prepared_files import PreparedFiles
from layerscope.graph.model import assemble
from layerscope.limits import MIB
from layerscope.models.directory import ModelSource


@pytest.fixture
def kept(tmp_path):
    return PreparedFiles(tmp_path / "kept", 64 * MIB, 60)


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "m", dense(2))


def write(folder, model, **declaration):
    folder.mkdir()
    model.save(folder / "model.keras")
    (folder / "layerscope.json").write_text(json.dumps(declaration), "utf-8")
    return ModelSource("m", 1, folder / "model.keras", folder)


def dense(units):
    keras.utils.set_random_seed(units)
    return keras.Sequential(
        [keras.Input((4,), name="start"), layers.Dense(units, name="dense")], name="model"
    )


class Opening:
    """Opens models, and counts how often."""

    def __init__(self):
        self.count = 0

    def of(self, source, opened=None):
        def open_model():
            self.count += 1
            return opened or prepare(source)

        return open_model


@pytest.fixture
def opening():
    return Opening()


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """What opening `source` gives, for tests that are not about that."""
    return prepare(write(tmp_path_factory.mktemp("opened") / "m", dense(2)))


def values(source, prepared):
    model = assemble(source, prepared, plan_bytes=2**28)
    try:
        taps = model.description.taps.select(["all"])
        inputs = [noise(2, *each.shape) for each in model.description.inputs]
        return model.executable.run(inputs, taps)
    finally:
        model.close()


def test_a_model_is_opened_once(kept, opening, tmp_path):
    source = write(tmp_path / "m", residual_model())
    first = kept.load(source, opening.of(source))
    again = PreparedFiles(kept.folder, 64 * MIB, 60).load(source, opening.of(source))
    assert opening.count == 1
    assert again.metadata == first.metadata == prepare(source).metadata
    for one, other, opened in zip(
        values(source, first), values(source, again), values(source, prepare(source)), strict=True
    ):
        assert one.tobytes() == other.tobytes() == opened.tobytes()


def test_the_same_file_under_another_name_is_found(kept, source, opening, tmp_path):
    kept.load(source, opening.of(source))
    copy = tmp_path / "copy"
    source.folder.rename(copy)
    moved = ModelSource("other", 7, copy / "model.keras", copy)
    kept.load(moved, opening.of(moved))
    assert opening.count == 1


@pytest.mark.parametrize("changed", ["weights", "declaration", "trust", "signature"])
def test_what_has_changed_is_opened_again(kept, source, opening, changed, tmp_path):
    kept.load(source, opening.of(source))
    if changed == "weights":
        dense(3).save(source.path)
    elif changed == "declaration":
        (source.folder / "layerscope.json").write_text('{"classes": ["a", "b"]}', "utf-8")
    else:
        more = {"trusted": True} if changed == "trust" else {"signature": "serve"}
        source = ModelSource("m", 1, source.path, source.folder, **more)
    with_other = kept.load(source, opening.of(source))
    assert opening.count == 2
    assert with_other.metadata == prepare(source).metadata


def test_another_version_of_the_software_opens_it_again(kept, source, opening, monkeypatch, opened):
    kept.load(source, opening.of(source, opened))
    monkeypatch.setattr("layerscope.graph.loading.prepared_files._software", lambda: "another")
    kept.load(source, opening.of(source, opened))
    assert opening.count == 2


def test_every_module_of_the_engine_counts(source, opening, tmp_path, monkeypatch):
    from layerscope.graph.loading import prepared_files

    before = prepared_files._own_code()
    changed = tmp_path / "engine" / "graph" / "new.py"
    changed.parent.mkdir(parents=True)
    monkeypatch.setattr("layerscope.__file__", str(tmp_path / "engine" / "__init__.py"))
    changed.write_text("A = 1")
    one = prepared_files._own_code()
    changed.write_text("A = 2")
    assert len({before, one, prepared_files._own_code()}) == 3


@pytest.mark.parametrize("place", [0, 5, 70, -40, -1])
def test_a_damaged_file_is_made_again(kept, source, opening, place, tmp_path, opened):
    kept.load(source, opening.of(source, opened))
    (path,) = (tmp_path / "kept").glob("*.prepared")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert kept.load(source, opening.of(source, opened)).metadata == opened.metadata
    kept.load(source, opening.of(source, opened))
    assert opening.count == 2


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_file_that_was_cut_is_made_again(kept, source, opening, share, tmp_path, opened):
    kept.load(source, opening.of(source, opened))
    (path,) = (tmp_path / "kept").glob("*.prepared")
    os.truncate(path, int(path.stat().st_size * share))
    kept.load(source, opening.of(source, opened))
    kept.load(source, opening.of(source, opened))
    assert opening.count == 2


def test_what_a_killed_process_was_writing_is_overwritten(kept, source, opening, tmp_path, opened):
    (tmp_path / "kept").mkdir(mode=0o700)
    for number in range(16):
        (tmp_path / "kept" / f"new-{number}").write_bytes(b"half a model")
    kept.load(source, opening.of(source, opened))
    kept.load(source, opening.of(source, opened))
    assert opening.count == 1


def test_a_refusal_is_not_kept(kept, opening, tmp_path):
    source = write(tmp_path / "m", dense(2), classes=["a"], inputs={"nothing": {}})
    (tmp_path / "m" / "model.keras").write_bytes(b"no model")
    for _ in range(2):
        with pytest.raises(ModelRefused):
            kept.load(source, opening.of(source))
    assert opening.count == 2


@pytest.mark.parametrize("declaration", [{"plugins": ["own.py"]}, {"trust_code": True}])
def test_a_model_whose_code_runs_is_opened_each_time(kept, opening, declaration, tmp_path):
    source = write(tmp_path / "m", dense(2), **declaration)
    (tmp_path / "m" / "own.py").write_text("import math")
    for _ in range(2):
        kept.load(source, opening.of(source))
    assert opening.count == 2


def test_a_folder_where_others_may_write_is_not_used(kept, source, opening, tmp_path, caplog, opened):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept").chmod(0o777)
    for _ in range(2):
        kept.load(source, opening.of(source, opened))
    assert opening.count == 2
    assert "others may write there" in caplog.text


def test_the_folder_is_closed_to_others(kept, source, opening, tmp_path, opened):
    kept.load(source, opening.of(source, opened))
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "kept").iterdir())


def test_the_least_recently_used_make_way(opening, tmp_path):
    sources = [write(tmp_path / str(units), dense(units * 1000)) for units in (1, 2, 3)]
    opened = [prepare(each) for each in sources]
    sizes = [os.fstat(each.descriptor).st_size for each in opened]
    kept = PreparedFiles(tmp_path / "kept", sizes[0] + sizes[2] + 1000, 60)
    for index, count in ((0, 1), (1, 2), (0, 2), (2, 3), (0, 3), (1, 4)):
        kept.load(sources[index], opening.of(sources[index], opened[index]))
        assert opening.count == count


def test_a_model_that_is_longer_than_all_may_be_is_served_and_not_kept(source, opening, tmp_path, opened):
    kept = PreparedFiles(tmp_path / "kept", 100, 60)
    for _ in range(2):
        assert values(source, kept.load(source, opening.of(source, opened)))
    assert opening.count == 2


def test_a_full_disk_keeps_nothing_and_costs_nothing(kept, source, opened, tmp_path, caplog):
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, most))
    try:
        assert kept.load(source, lambda: opened) is opened
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert "an opened model is not kept" in caplog.text
    assert not [path for path in (tmp_path / "kept").iterdir() if not path.name.startswith("lock-")]


def test_of_many_that_come_at_once_one_opens_the_model(source, opening, tmp_path, opened):
    def load(_):
        return PreparedFiles(tmp_path / "kept", 64 * MIB, 60).load(source, opening.of(source, opened))

    with ThreadPoolExecutor(8) as pool:
        assert len({each.metadata.digest for each in pool.map(load, range(8))}) == 1
    assert opening.count == 1


def test_nobody_waits_forever_for_another_process(source, opening, tmp_path):
    begun, ended = threading.Event(), threading.Event()

    def never():
        begun.set()
        ended.wait()
        return prepare(source)

    other = threading.Thread(target=PreparedFiles(tmp_path / "kept", 64 * MIB, 60).load, args=(source, never))
    other.start()
    try:
        begun.wait()
        assert PreparedFiles(tmp_path / "kept", 64 * MIB, 0.1).load(source, opening.of(source))
        assert opening.count == 1
    finally:
        ended.set()
        other.join()
