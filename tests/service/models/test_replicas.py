"""Services over one directory that follow it: what one is asked to change, all have changed within two looks at the directory."""

import random
import threading

import pytest
from text_models import libraries, states, text_of

from layerscope.errors import ControlRefused, LayerscopeError, ModelNotFound, ModelNotLoaded
from layerscope.models.control import Control

ORDERS = Control(mode="poll", seconds=3600, uploads=True)


@pytest.fixture
def start(tmp_path):
    with libraries() as opened:
        yield lambda control=ORDERS: opened(tmp_path, control)


@pytest.fixture
def upload(tmp_path):
    """A version as an upload leaves it; its checks would take seconds."""

    def upload(name, version, text="text", labels=""):
        folder = tmp_path / name / str(version)
        folder.mkdir(parents=True)
        (folder / "model.keras").write_text(text, "utf-8")
        (folder / "accepted.json").write_text("{}", "utf-8")
        if labels:
            (folder / "layerscope.json").write_text(f'{{"labels": ["{labels}"]}}', "utf-8")

    return upload


def look(*libraries):
    """Two looks of each."""
    for _ in range(2):
        for each in libraries:
            each.poll()


def shown(library):
    """All that callers see of the models."""
    return states(library), {name: library.registry.labels(name) for name in "ab"}


def test_labels_and_unloads_of_one_reach_the_others_and_those_that_start_later(start, upload):
    for version in (1, 2):
        upload("a", version, f"version {version}")
    one, other = start(), start()
    one.label("a@1", "stable")
    other.poll()
    assert text_of(other, "a@stable") == "version 1"
    other.label("a@2", "stable")
    one.poll()
    assert text_of(one, "a@stable") == "version 2"

    one.unload("a@2")
    look(one, other)
    assert (
        shown(one)
        == shown(other)
        == shown(start())
        == ({"a@1": "ready", "a@2": "unloaded"}, {"a": {}, "b": {}})
    )
    with pytest.raises(ModelNotLoaded):
        text_of(other, "a@2")
    other.load("a@2")
    look(one, other)
    assert shown(one) == shown(other) == shown(start())
    assert text_of(one, "a@stable") == "version 2"

    other.remove("a@2")
    look(one, other)
    assert shown(one) == shown(other) == shown(start()) == ({"a@1": "ready"}, {"a": {}, "b": {}})
    with pytest.raises(ModelNotFound):
        text_of(one, "a@2")


def test_a_label_stays_where_it_is_until_its_new_version_is_loaded(start, upload):
    upload("a", 1, "old")
    one, other = start(), start()
    one.label("a@1", "stable")
    other.poll()
    upload("a", 2, "new")
    look(one)
    one.label("a@2", "stable")
    other.poll()
    assert text_of(other, "a@stable") == "old"
    other.poll()
    assert text_of(other, "a@stable") == "new"


def test_a_service_that_takes_no_orders_follows_those_that_others_took(start, upload):
    upload("a", 1)
    one, follower = start(), start(Control(mode="poll", seconds=3600))
    with pytest.raises(ControlRefused, match="--allow-upload"):
        follower.unload("a")
    one.unload("a")
    follower.poll()
    assert states(follower) == {"a@1": "unloaded"}


def test_a_ledger_that_cannot_be_read_for_a_while_changes_nothing(tmp_path, start, upload):
    upload("a", 1)
    one = start()
    one.label("a", "stable")
    one.unload("a")
    text = (tmp_path / "a" / "ledger.json").read_text("utf-8")
    (tmp_path / "a" / "ledger.json").write_text("damaged", "utf-8")
    look(one)
    assert states(one) == {"a@1": "unloaded"}
    (tmp_path / "a" / "ledger.json").write_text(text, "utf-8")
    one.load("a")
    assert one.registry.labels("a") == {"stable": 1}


def test_orders_to_several_at_the_same_time_are_all_written_down(start, upload):
    upload("a", 1)
    libraries = [start() for _ in range(3)]

    def label(number):
        for each in range(10):
            libraries[number].label("a@1", f"label-{number}-{each}")

    threads = [threading.Thread(target=label, args=(number,)) for number in range(len(libraries))]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    look(*libraries)
    assert [len(each.registry.labels("a")) for each in libraries] == [30, 30, 30]


@pytest.mark.parametrize("seed", [2, *(pytest.param(seed, marks=pytest.mark.wide) for seed in (6, 34, 79))])
def test_after_any_orders_all_agree_with_one_that_starts_then(tmp_path, start, upload, seed):
    chosen = random.Random(seed)  # noqa: S311 - the same orders in every run
    numbers = {"a": 0, "b": 0}

    def add(_library, name, _version):
        numbers[name] += 1
        upload(name, numbers[name], labels=chosen.choice(["", "stable", "new"]))

    orders = [
        add,
        lambda library, name, version: library.load(f"{name}@{version}"),
        lambda library, name, version: library.unload(f"{name}@{version}"),
        lambda library, name, version: library.label(f"{name}@{version}", chosen.choice(["stable", "new"])),
        lambda library, name, _version: library.unlabel(name, chosen.choice(["stable", "new"])),
        lambda library, name, version: library.remove(f"{name}@{version}"),
        lambda library, _name, _version: library.poll(),
    ]
    for name in "ab":
        add(None, name, None)
        add(None, name, None)
    libraries = [start(), start()]
    carried_out = 0
    for _ in range(40):
        order, library = chosen.choice(orders), chosen.choice(libraries)
        name = chosen.choice("ab")
        try:
            order(library, name, chosen.randint(1, numbers[name]))
            carried_out += 1
        except LayerscopeError as error:
            assert error.code in {"model_not_found", "model_not_loaded", "control_refused"}  # noqa: PT017
    look(*libraries)
    assert carried_out > 10
    assert shown(libraries[0]) == shown(libraries[1]) == shown(start())
