"""M12, M13 and R04: the store of accepted models, when two come at once, there is no room, or the process is killed."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from model_files import tiny_model

from layerscope.errors import (
    ControlRefused,
    LayerNotAllowed,
    ModelRefused,
    OptionInvalid,
    StorageFull,
    UnsupportedFormat,
)
from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits
from layerscope.models.directory import find_models
from layerscope.models.manifest import Manifest
from layerscope.models.store import ModelStore

ADD = """
import sys
from pathlib import Path
from layerscope.limits import Limits
from layerscope.models.store import ModelStore
store = ModelStore(Path(sys.argv[1]), Limits())
print("ready", flush=True)
for file in sys.argv[2:]:
    print(store.add(Path(file), "model").version, flush=True)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for units in range(1, 6):
        tiny_model(units=units).save(folder / f"{units}.keras")
    tiny_model().save(folder / "old.h5")
    return folder


def store(directory, **limits):
    return ModelStore(directory, Limits(**limits))


def tree(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_m12_the_same_file_again_is_the_same_version(files, tmp_path):
    first = store(tmp_path).add(files / "1.keras", "model")
    again = store(tmp_path).add(files / "1.keras", "model")
    other = store(tmp_path).add(files / "2.keras", "model")
    assert (first.version, first.is_new) == (1, True)
    assert (again.version, again.is_new) == (1, False)
    assert (other.version, other.is_new) == (2, True)
    assert [(each.name, each.version) for each in find_models(tmp_path)] == [("model", 1), ("model", 2)]


@pytest.mark.parametrize(("names", "versions"), [(["1"] * 8, [1]), (["1", "2", "3", "4"] * 2, [1, 2, 3, 4])])
def test_m12_eight_at_once(files, tmp_path, names, versions):
    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(lambda name: store(tmp_path).add(files / f"{name}.keras", "model"), names))
    assert sum(each.is_new for each in added) == len(versions)
    assert [each.version for each in find_models(tmp_path)] == versions
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_what_is_stored_is_served(files, tmp_path):
    store(tmp_path).add(files / "3.keras", "new")
    store(tmp_path).add(files / "old.h5", "old")
    engine = LocalEngine(tmp_path)
    engine.load_all()
    assert {record.name: record.state for record in engine.catalogue()} == {
        "new": "ready",
        "old": "ready",
    }
    engine.close()


def test_a_version_that_somebody_else_put_there_is_kept(files, tmp_path):
    (tmp_path / "model" / "7").mkdir(parents=True)
    assert store(tmp_path).add(files / "1.keras", "model").version == 8
    (tmp_path / "bare.keras").write_bytes((files / "2.keras").read_bytes())
    assert store(tmp_path).add(files / "1.keras", "bare").version == 2


def test_m13_no_room_under_the_quota(files, tmp_path):
    store(tmp_path).add(files / "1.keras", "model")
    before = tree(tmp_path)
    taken = sum(path.stat().st_size for path in (tmp_path / "model" / "1").iterdir())
    with pytest.raises(StorageFull) as raised:
        store(tmp_path, model_store_bytes=taken + 1_000).add(files / "2.keras", "model")
    assert raised.value.details["size"] > taken + 1_000 == raised.value.details["limit"]
    assert tree(tmp_path) == before


def test_m13_no_room_for_what_is_coming(files, tmp_path):
    """What has come takes room, so that those who send at the same time do not share it; what is only announced takes none."""
    made = store(tmp_path, model_store_bytes=1_000_000)
    with made.receiving() as first, made.receiving() as second:
        first.make_room(600_000)
        with pytest.raises(StorageFull):
            second.make_room(600_000)
        second.make_room(300_000)
        assert [each.path.stat().st_size for each in (first, second)] == [600_000, 300_000]
    with made.receiving() as third:
        third.make_room(600_000)
    assert tree(tmp_path) == [".incoming"]


def test_the_same_file_under_many_names_is_stored_once(files, tmp_path):
    made = store(tmp_path, model_store_bytes=100_000)
    size = made.add(files / "1.keras", "model") and (tmp_path / "model" / "1" / "model.keras").stat().st_size
    assert size * 7 > 100_000
    for number in range(6):
        assert made.add(files / "1.keras", f"twin{number}").is_new
    paths = [each.path for each in find_models(tmp_path)]
    assert len(paths) == 7
    assert len({path.stat().st_ino for path in paths}) == 1
    made.remove("model", 1)
    assert len(find_models(tmp_path)) == 6


def test_another_declaration_is_another_version(files, tmp_path):
    made = store(tmp_path)
    declarations = [
        None,
        Manifest(classes=("a", "b")),
        Manifest(classes=("b", "a")),
        None,
        Manifest(classes=("a", "b")),
    ]
    added = [made.add(files / "1.keras", "model", each) for each in declarations]
    assert [each.version for each in added] == [1, 2, 3, 1, 2]
    assert Manifest.read(tmp_path / "model" / "3").classes == ("b", "a")


def test_what_is_refused_when_it_is_tried_is_not_stored(files, tmp_path):
    def refuse(source):
        assert source.path.is_file()
        assert source.bounds is not None
        raise ModelRefused("It does not run.")

    with pytest.raises(ModelRefused, match="It does not run"):
        store(tmp_path).add(files / "1.keras", "model", probe=refuse)
    assert tree(tmp_path) == [".incoming"]


def test_what_somebody_put_there_by_hand_is_not_removed(files, tmp_path):
    (tmp_path / "model" / "1").mkdir(parents=True)
    (tmp_path / "model" / "1" / "model.keras").write_bytes((files / "1.keras").read_bytes())
    for version in (1, 2):
        with pytest.raises(ControlRefused):
            store(tmp_path).remove("model", version)
    assert (tmp_path / "model" / "1" / "model.keras").is_file()


@pytest.mark.parametrize("name", ["", "..", "../x", "Model", "a/b", ".incoming", "stats", "x" * 65])
def test_names_that_no_model_may_have(files, tmp_path, name):
    with pytest.raises(OptionInvalid):
        store(tmp_path).add(files / "1.keras", name)
    assert tree(tmp_path) == [".incoming"]


def test_what_is_refused_leaves_nothing(files, tmp_path):
    import keras

    path = files / "code.keras"
    start = keras.Input((4,))
    keras.Model(start, keras.layers.Lambda(lambda x: x)(start)).save(path)
    with pytest.raises(LayerNotAllowed):
        store(tmp_path).add(path, "model")
    with pytest.raises(UnsupportedFormat):
        store(tmp_path).add(files, "model")
    assert tree(tmp_path) == [".incoming"]


WRITE_ON = """
import os, sys
for number in range(50_000):
    try:
        os.close(os.open(f"{sys.argv[1]}/{number}", os.O_CREAT))
    except FileNotFoundError:
        break
    if number == 1_000:
        print(flush=True)
"""


def test_r04_what_is_left_goes_though_somebody_still_writes_there(tmp_path):
    """A process that is killed leaves behind what it had started, and that works on for a while."""
    left = tmp_path / ".incoming" / "left"
    left.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", WRITE_ON, str(left)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.read(1)
        store(tmp_path)
    assert tree(tmp_path) == [".incoming"]


def killed_while_adding(directory, files, after):
    """Add five models in a process that is killed so many seconds later, or is not; those it said are there."""
    paths = [str(files / f"{units}.keras") for units in range(1, 6)]
    command = [sys.executable, "-c", ADD, str(directory), *paths]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if after is not None:
            time.sleep(after)
            process.kill()
        said = process.stdout.read()
    return [int(line) for line in said.splitlines() if line]


def require_exact(directory, said):
    """What was told is there, at most one more, all of it whole, and nothing else."""
    ModelStore(directory, Limits())
    assert list((directory / ".incoming").iterdir()) == []
    found = find_models(directory)
    assert [each.version for each in found] == list(range(1, len(found) + 1))
    assert len(said) <= len(found) <= len(said) + 1
    for each in found:
        record = json.loads((each.folder / "accepted.json").read_text("utf-8"))
        again = ModelStore(directory.with_name("again"), Limits()).add(each.path, "model").report
        assert again.parameters == record["parameters"]
        assert {path.name for path in each.folder.iterdir()} == {"model.keras", "accepted.json"}


@pytest.mark.parametrize("after", [0.05, 0.33, 0.4, 0.75])
def test_r04_killed_at_some_points(files, tmp_path, after):
    require_exact(tmp_path / "models", killed_while_adding(tmp_path / "models", files, after))


@pytest.mark.soak
def test_r04_killed_at_200_random_points(files, tmp_path, keep_figures):
    started, committed = time.perf_counter(), 0
    assert killed_while_adding(tmp_path / "whole", files, None) == [1, 2, 3, 4, 5]
    moments = np.random.default_rng(0).uniform(0, time.perf_counter() - started, 200)
    for number, after in enumerate(moments):
        directory = tmp_path / str(number) / "models"
        said = killed_while_adding(directory, files, after)
        require_exact(directory, said)
        committed += len(said)
    keep_figures(
        "R04", "killed while five models are added", kills=len(moments), models_confirmed_and_found=committed
    )
