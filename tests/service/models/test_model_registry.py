"""The registry, with models that only say what happens to them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from layerscope.errors import ModelLoading, ModelNotFound, ModelNotLoaded, ModelRefused
from layerscope.models.directory import ModelSource
from layerscope.models.registry import Registry


@dataclass
class Small:
    source: ModelSource
    labels: tuple[str, ...] = ()
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
    assert [entry.source.version for entry in made.entries()] == [1, 2]


def test_one_that_is_being_loaded_can_be_waited_for_but_not_used_or_removed():
    made = registry()
    made.announce(source())
    with pytest.raises(ModelLoading), made.lease("m"):
        pass
    with pytest.raises(ModelLoading):
        made.unload("m")
    made.load(source())
    assert version_of(made, "m") == 1


def test_a_model_in_use_is_closed_when_the_last_lease_ends():
    made = registry(source())
    with ThreadPoolExecutor(2) as pool:
        with made.lease("m") as model:
            first = pool.submit(made.unload, "m")
            while made.find("m").state != "unloading":
                pass
            with pytest.raises(ModelNotLoaded), made.lease("m"):
                pass
            with pytest.raises(ModelLoading):
                made.unload("m")
            assert not model.closed.is_set()
        first.result()
    assert model.closed.is_set()
    with pytest.raises(ModelNotFound):
        made.find("m")


def test_a_lease_ends_when_its_work_fails():
    made = registry(source())
    with pytest.raises(ZeroDivisionError), made.lease("m"):
        raise ZeroDivisionError
    made.unload("m")
    assert made.entries() == []
