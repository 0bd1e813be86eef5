"""The models of a directory while it changes, with models that only say what happens to them."""

import json
import shutil
import threading
from pathlib import Path

import pytest
from text_models import EXPLICIT, POLL, libraries, load, states, text_of

from layerscope.errors import (
    ControlRefused,
    ModelLoading,
    ModelNotFound,
    ModelNotLoaded,
    ModelRefused,
    SourceUnreachable,
)
from layerscope.limits import Limits
from layerscope.models.control import Control
from layerscope.models.library import Library


@pytest.fixture
def start(tmp_path):
    with libraries() as opened:
        yield lambda control, **limits: opened(tmp_path, control, Limits(**limits))


def place(directory, path, text="one", **declaration):
    path = directory / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    if declaration:
        (path.parent / "layerscope.json").write_text(json.dumps(declaration), "utf-8")
    return path


@pytest.mark.parametrize(
    ("control", "loaded"),
    [
        (Control(), ["a@1", "b@1", "b@2"]),
        (POLL, ["a@1", "b@1", "b@2"]),
        (EXPLICIT, []),
        (Control(mode="explicit", start=("*",)), ["a@1", "b@1", "b@2"]),
        (Control(mode="explicit", start=("b@2", "c")), ["b@2"]),
        (Control(mode="explicit", start=("b",)), ["b@1", "b@2"]),
    ],
    ids=["none", "poll", "explicit", "every", "one version", "one name"],
)
def test_what_is_loaded_at_the_start(tmp_path, start, control, loaded):
    for path in ("a.keras", "b/1/model.keras", "b/2/model.keras"):
        place(tmp_path, path)
    library = start(control)
    assert [name for name, state in states(library).items() if state == "ready"] == loaded
    assert set(states(library).values()) <= {"ready", "unloaded"}


@pytest.mark.parametrize("control", [Control(), POLL])
def test_who_was_not_started_to_take_orders_takes_none(tmp_path, start, control):
    place(tmp_path, "a.keras")
    library = start(control)
    for order in (
        lambda: library.load("a"),
        lambda: library.unload("a"),
        lambda: library.label("a", "stable"),
        lambda: library.unlabel("a", "stable"),
    ):
        with pytest.raises(ControlRefused, match="--control explicit"):
            order()
    assert states(library) == {"a@1": "ready"}


def test_what_is_asked_for_is_loaded(tmp_path, start):
    place(tmp_path, "a/1/model.keras")
    library = start(EXPLICIT)
    assert library.load("a").state == "ready"
    place(tmp_path, "a/2/model.keras", "two")
    place(tmp_path, "b.keras", "three")
    assert text_of(library, "a") == "one"
    assert library.load("a").source.version == 2
    assert text_of(library, "a") == "two"
    assert text_of(library, "a@1") == "one"
    library.load("b")
    library.unload("a@2")
    assert states(library) == {"a@1": "ready", "a@2": "unloaded", "b@1": "ready"}
    assert text_of(library, "a") == "one"
    with pytest.raises(ModelNotFound):
        library.load("c")
    with pytest.raises(ModelNotFound):
        library.load("a@3")


def test_what_is_loaded_again_is_what_its_files_are_now(tmp_path, start):
    path = place(tmp_path, "a/1/model.h5")
    library = start(EXPLICIT)
    library.load("a")
    path.write_text("broken", "utf-8")
    with pytest.raises(ModelRefused, match="It is broken"):
        library.load("a")
    assert text_of(library, "a") == "one"
    place(tmp_path, "a/1/model.keras", "two")
    library.load("a")
    assert text_of(library, "a") == "two"
    (tmp_path / "a" / "1" / "model.keras").unlink()
    path.unlink()
    with pytest.raises(ModelRefused, match="no model in a/1, which is empty"):
        library.load("a@1")
    assert text_of(library, "a") == "two"
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(ModelNotFound, match="gone"):
        library.load("a@1")
    assert text_of(library, "a") == "two"
    library.unload("a")
    with pytest.raises(ModelNotFound):
        library.load("a")
    assert states(library) == {}


def test_labels_are_kept_from_one_start_to_the_next(tmp_path, start):
    for version in (1, 2):
        place(tmp_path, f"a/{version}/model.keras", labels=["stable"] if version == 1 else ["new"])
    library = start(Control(mode="explicit", start=("*",)))
    assert library.registry.labels("a") == {"stable": 1, "new": 2}
    library.label("a@new", "stable")
    library.label("a@1", "old")
    library.unlabel("a", "new")
    assert library.registry.labels("a") == {"stable": 2, "old": 1}

    again = start(Control(mode="explicit", start=("a@1",)))
    assert again.registry.labels("a") == {"old": 1}
    with pytest.raises(ModelNotLoaded):
        again.label("a@2", "old")
    again.load("a@2")
    assert again.registry.labels("a") == {"stable": 2, "old": 1}
    again.unload("a@2")
    assert again.registry.labels("a") == {"old": 1}
    with pytest.raises(ModelNotFound):
        again.unlabel("a", "stable")


def test_labels_of_a_bare_file(tmp_path, start):
    place(tmp_path, "a.keras")
    start(Control(mode="explicit", start=("a",))).label("a", "stable")
    assert start(Control()).registry.labels("a") == {"stable": 1}


@pytest.mark.parametrize("damaged", ["", "[]", '{"labels": {"A": 1}}', '{"last": "many"}'])
def test_a_damaged_ledger_costs_the_labels_and_nothing_else(tmp_path, start, damaged):
    place(tmp_path, "a/1/model.keras", labels=["stable"])
    (tmp_path / "a" / "ledger.json").write_text(damaged, "utf-8")
    assert start(Control()).registry.labels("a") == {"stable": 1}


def test_a_directory_is_followed(tmp_path, start):
    path = place(tmp_path, "a/1/model.keras")
    library = start(POLL)
    library.poll()
    library.poll()
    with library.registry.lease("a") as first:
        place(tmp_path, "a/2/model.keras", "two")
        place(tmp_path, "b.keras", "broken")
        library.poll()
        assert states(library) == {"a@1": "ready"}, "it may still be being copied"
        library.poll()
        assert states(library) == {"a@1": "ready", "a@2": "ready", "b@1": "failed"}
        path.write_text("another one", "utf-8")
        library.poll()
        library.poll()
        assert text_of(library, "a@1") == "another one"
        assert not first.closed.is_set()
    assert first.closed.is_set()
    place(tmp_path, "a/1/layerscope.json", '{"labels": ["stable"]}')
    library.poll()
    library.poll()
    assert library.registry.labels("a") == {"stable": 1}
    (tmp_path / "a" / "1" / "layerscope.json").unlink()
    path.unlink()
    (tmp_path / "b.keras").unlink()
    library.poll()
    assert states(library) == {"a@2": "ready"}


def test_what_fails_is_not_tried_again_before_it_changes(tmp_path, start):
    tried = []

    def load_counted(source):
        tried.append(source.name)
        return load(source)

    path = place(tmp_path, "a.keras", "broken")
    library = Library(tmp_path, load_counted, Limits(), POLL, trusted=False)
    library.open(lambda _: None)
    for _ in range(4):
        library.poll()
    assert tried == ["a"]
    path.write_text("mended", "utf-8")
    for _ in range(4):
        library.poll()
    assert tried == ["a", "a"]
    assert text_of(library, "a") == "mended"
    library.close()


def test_a_directory_is_followed_by_itself(tmp_path, start):
    library = start(Control(mode="poll", seconds=0.01))
    place(tmp_path, "a.keras")
    for _ in range(1000):
        if states(library) == {"a@1": "ready"}:
            break
        threading.Event().wait(0.01)
    assert states(library) == {"a@1": "ready"}


def test_a_directory_that_cannot_be_looked_at_costs_nothing(tmp_path, start):
    place(tmp_path, "models/a.keras")
    library = Library(Path(tmp_path, "models"), load, Limits(), POLL, trusted=False)
    library.open(lambda _: None)
    (tmp_path / "models").rename(tmp_path / "elsewhere")
    with pytest.raises(SourceUnreachable, match="directory of models"):
        library.poll()
    assert states(library) == {"a@1": "ready"}
    library.close()


def test_a_library_that_is_closed_loads_nothing_more(tmp_path, start):
    place(tmp_path, "a.keras")
    library = start(EXPLICIT)
    library.close()
    with pytest.raises(ModelLoading):
        library.load("a")
    library.poll()
    assert states(library) == {"a@1": "unloaded"}
