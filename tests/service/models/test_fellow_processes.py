"""Libraries of several processes over one directory: what one is told, all do."""

import random
import threading
import time

import pytest
from text_models import EXPLICIT, POLL, load, states, text_of

from layerscope.errors import ModelNotLoaded, ModelRefused
from layerscope.limits import Limits
from layerscope.models.library import Library
from layerscope.models.worker_sync import FellowProcesses


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.keras").write_text(name, "utf-8")
    return folder


@pytest.fixture
def start(tmp_path, models):
    (tmp_path / "shared").mkdir()
    libraries = []

    def start(control, *, leads, **limits):
        fellows = FellowProcesses(tmp_path / "shared", leads=leads)
        library = Library(models, load, Limits(**limits), control, trusted=False, fellows=fellows)
        libraries.append(library)
        assert library.open(lambda _: None)
        return library

    yield start
    for each in libraries:
        each.close()


def wait_for(met):
    last = time.monotonic() + 20
    while not met() and time.monotonic() < last:
        time.sleep(0.02)
    assert met()


@pytest.fixture
def pair(start):
    return start(EXPLICIT, leads=True), start(EXPLICIT, leads=False)


@pytest.mark.parametrize("told", [0, 1])
def test_what_one_is_told_the_other_has_done_when_the_order_returns(pair, models, told):
    one, other = pair[told], pair[1 - told]
    one.load("a")
    one.label("a", "stable")
    assert states(one) == states(other) == {"a@1": "ready", "b@1": "unloaded", "c@1": "unloaded"}
    assert other.registry.labels("a") == {"stable": 1}
    (models / "a.keras").write_text("changed", "utf-8")
    one.load("a")
    assert text_of(other, "a") == "changed"
    one.unlabel("a", "stable")
    assert other.registry.labels("a") == {}
    one.unload("a")
    with pytest.raises(ModelNotLoaded):
        text_of(other, "a")


def test_a_model_that_neither_can_load_goes_on_at_both(pair, models):
    pair[0].load("a")
    (models / "a.keras").write_text("broken", "utf-8")
    with pytest.raises(ModelRefused):
        pair[1].load("a")
    assert [text_of(each, "a") for each in pair] == ["a", "a"]


def test_what_makes_way_at_one_makes_way_at_the_other(start):
    one, other = (start(EXPLICIT, leads=leads, models_bytes=2) for leads in (True, False))
    one.load("a")
    one.load("b")
    text_of(other, "a")
    text_of(one, "b")
    text_of(one, "a")
    other.load("c")
    assert states(one) == states(other)
    assert list(states(one).values()).count("ready") == 2


def test_who_comes_late_does_what_was_ordered_before(pair, start):
    pair[0].load("a")
    pair[1].load("b")
    pair[0].unload("a")
    pair[1].label("b", "stable")
    late = start(EXPLICIT, leads=False)
    assert states(late) == states(pair[0])
    assert late.registry.labels("b") == {"stable": 1}


def test_who_ended_is_waited_for_no_more(pair):
    pair[1].close()
    began = time.monotonic()
    pair[0].load("a")
    assert time.monotonic() - began < 60


def test_one_follows_the_directory_for_all(start, models):
    leader, other = start(POLL, leads=True), start(POLL, leads=False)
    (models / "a.keras").write_text("changed", "utf-8")
    (models / "b.keras").unlink()
    leader.poll()
    leader.poll()
    wait_for(lambda: text_of(other, "a") == "changed" and "b@1" not in states(other))


def test_what_changed_while_nobody_followed_the_directory_is_told_by_who_does_again(start, models):
    leader, other = start(POLL, leads=True), start(POLL, leads=False)
    leader.close()
    (models / "a.keras").write_text("changed", "utf-8")
    start(POLL, leads=True)
    wait_for(lambda: text_of(other, "a") == "changed")


def test_nobody_begins_before_the_first_has_loaded(start):
    begun = []
    thread = threading.Thread(target=lambda: begun.append(start(EXPLICIT, leads=False)))
    thread.start()
    time.sleep(0.3)
    assert begun == []
    start(EXPLICIT, leads=True)
    thread.join(20)
    assert len(begun) == 1


def test_orders_that_are_given_at_the_same_time_end_alike(pair):
    def give(library, seed):
        chosen = random.Random(seed)  # noqa: S311
        for _ in range(8):
            order = chosen.choice([library.load, library.unload])
            order(chosen.choice("abc"))

    threads = [threading.Thread(target=give, args=(each, seed)) for seed, each in enumerate(pair)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    wait_for(lambda: states(pair[0]) == states(pair[1]))
