"""The registry, with models that only say what happens to them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from layerscope.errors import ModelLoading, ModelNotFound, ModelNotLoaded, ModelRefused, ModelTooLarge
from layerscope.models.directory import ModelSource
from layerscope.models.registry import Registry


@dataclass
class Small:
    source: ModelSource
    labels: tuple[str, ...] = ()
    memory_bytes: int = 10
    closed: threading.Event = field(default_factory=threading.Event)

    def close(self):
        self.closed.set()


def source(name="m", version=1):
    return ModelSource(name, version, Path("x"), Path("x"))


def registry(*sources, labels=None):
    made = Registry(lambda each: Small(each, (labels or {}).get(each.version, ())))
    for each in sources:
        made.load(each)
    return made


def version_of(registry, reference):
    with registry.lease(reference) as model:
        return model.source.version


@pytest.mark.parametrize(
    ("reference", "version"), [("m", 3), ("m@", 3), ("m@2", 2), ("m@stable", 2), ("m@old", 1), ("n", 1)]
)
def test_references(reference, version):
    made = registry(*(source("m", n) for n in (1, 2, 3)), source("n"), labels={2: ("stable",), 1: ("old",)})
    assert version_of(made, reference) == version


def test_the_label_default_comes_before_the_highest_version():
    made = registry(source("m", 1), source("m", 2), labels={1: ("default",)})
    assert version_of(made, "m") == 1
    made.unload("m@1")
    assert version_of(made, "m") == 2
    assert made.labels("m") == {}


@pytest.mark.parametrize(
    "reference", ["x", "", "@", "m@4", "m@none", "m@-1", "m@1.0", "m@99999999999999", "m@²"]
)
def test_references_to_nothing(reference):
    made = registry(source("m", 1))
    with pytest.raises(ModelNotFound):
        made.find(reference)


def test_a_failure_is_listed_and_the_highest_ready_version_answers():
    def load(each):
        if each.version == 3:
            raise ModelRefused("It is broken: mend it.")
        if each.version == 2:
            raise RuntimeError("a path: /secret")
        return Small(each)

    made = Registry(load)
    for number in (1, 2, 3):
        made.load(source("m", number))
    assert [(entry.state, entry.reason) for entry in made.entries()] == [
        ("ready", None),
        ("failed", "The model could not be loaded, for a reason nobody foresaw: see the log."),
        ("failed", "It is broken: mend it."),
    ]
    assert version_of(made, "m") == 1
    with pytest.raises(ModelNotLoaded, match="It is broken: mend it"), made.lease("m@3"):
        pass
    made.unload("m@3")
    assert [entry.state for entry in made.entries()] == ["ready", "failed", "unloaded"]


def test_one_that_is_being_loaded_can_be_waited_for_but_not_used_or_unloaded():
    made = registry()
    made.announce(source())
    with pytest.raises(ModelLoading), made.lease("m"):
        pass
    with pytest.raises(ModelLoading):
        made.unload("m")
    made.load(source())
    assert version_of(made, "m") == 1


def test_one_that_is_known_must_be_loaded_first():
    made = registry()
    made.announce(source(), "unloaded")
    with pytest.raises(ModelNotLoaded), made.lease("m"):
        pass
    made.load(source())
    assert version_of(made, "m") == 1


def test_a_model_in_use_is_closed_when_the_last_lease_ends():
    made = registry(source())
    with made.lease("m") as model, made.lease("m"):
        assert made.unload("m").state == "unloading"
        with pytest.raises(ModelNotLoaded), made.lease("m"):
            pass
        assert made.unload("m").state == "unloading"
        assert not model.closed.is_set()
    assert model.closed.is_set()
    assert made.find("m").state == "unloaded"
    assert made.unload("m").state == "unloaded"
    made.remove(source().key)
    made.remove(source().key)
    with pytest.raises(ModelNotFound):
        made.find("m")


def test_a_new_one_takes_over_and_those_who_use_the_old_one_keep_it():
    made = registry(source(), labels={1: ("stable",)})
    with made.lease("m@stable") as old:
        made.load(source())
        with made.lease("m@stable") as new:
            assert new is not old
        assert not old.closed.is_set()
    assert old.closed.is_set()
    assert not new.closed.is_set()
    assert [entry.state for entry in made.entries()] == ["ready"]


def test_one_that_fails_does_not_take_over():
    files = [Small, None]

    def load(each):
        make = files.pop(0)
        if make is None:
            raise ModelRefused("It is broken.")
        return make(each)

    made = Registry(load)
    made.load(source())
    failed = made.load(source())
    assert (failed.state, failed.reason) == ("failed", "It is broken.")
    assert (made.find("m").state, made.find("m").reason) == ("ready", "It is broken.")
    assert version_of(made, "m") == 1


def test_a_label_points_at_a_loaded_version_or_at_nothing():
    made = registry(source("m", 1), source("m", 2))
    made.announce(source("m", 3), "unloaded")
    made.relabel("m", {"stable": 1})
    made.relabel("m", {"stable": 2})
    assert version_of(made, "m@stable") == 2
    made.relabel("m", {"stable": 4, "unknown": 4})
    assert made.labels("m") == {"stable": 2}, "version 4 may still come"
    made.relabel("m", {"stable": 3})
    assert made.labels("m") == {}
    made.relabel("m", {"stable": 2})
    assert made.labels("m") == {"stable": 2}
    made.unload("m@2")
    assert made.labels("m") == {}
    made.relabel("m", {"default": 1})
    made.relabel("m", {"default": None, "stable": None})
    assert made.labels("m") == {}


def test_labels_do_not_depend_on_the_order_in_which_versions_were_loaded():
    declared = {1: ("stable",), 2: ("stable",)}
    for order in ((1, 2), (2, 1)):
        made = registry(*(source("m", number) for number in order), labels=declared)
        assert made.labels("m") == {"stable": 2}
        made.remove(("m", 2))
        assert made.labels("m") == {"stable": 1}


def test_those_unused_for_longest_make_way():
    made = Registry(lambda each: Small(each, memory_bytes=10 if each.name < "z" else 31), most_bytes=30)
    for name in "abc":
        made.load(source(name))
    with made.lease("a") as used:
        made.load(source("d"))
        states = {entry.source.name: entry.state for entry in made.entries()}
        assert states == {"a": "ready", "b": "unloaded", "c": "ready", "d": "ready"}
        with pytest.raises(ModelNotLoaded, match="made way for another"), made.lease("b"):
            pass
        made.load(source("b"))
        made.load(source("c"))
        assert made.find("a").state == "unloading"
        assert not used.closed.is_set()
    assert used.closed.is_set()
    refused = made.load(source("z"))
    assert isinstance(refused.cause, ModelTooLarge)
    assert refused.cause.details == {"size": 31, "limit": 30}
    assert [entry.state for entry in made.entries()] == ["unloaded", "ready", "ready", "ready", "failed"]


def test_many_users_while_it_changes():
    """Each has one model from beginning to end, and every model is closed once, after its last user."""
    made_models, wrong = [], []

    class Counted(Small):
        def close(self):
            if self.closed.is_set():
                wrong.append("closed twice")
            super().close()

    def load(each):
        made_models.append(Counted(each))
        return made_models[-1]

    made = Registry(load)
    made.load(source())
    ended = threading.Event()

    def use():
        while not ended.is_set():
            with made.lease("m") as model:
                wrong.extend("closed in use" for _ in range(20) if model.closed.is_set())

    with ThreadPoolExecutor(4) as pool:
        users = [pool.submit(use) for _ in range(4)]
        for _ in range(4):
            made.load(source())
        ended.set()
        for each in users:
            each.result()
    assert wrong == []
    assert [each.closed.is_set() for each in made_models] == [True] * 4 + [False]


def test_a_lease_ends_when_its_work_fails():
    made = registry(source())
    with pytest.raises(ZeroDivisionError), made.lease("m"):
        raise ZeroDivisionError
    assert made.unload("m").state == "unloaded"
