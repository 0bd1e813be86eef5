"""R04: a process that is killed at any step of a change of the store leaves the state before it, or the one after it."""

import json
from pathlib import Path

import pytest
from model_files import tiny_model

from killed_steps import run_script
from layerscope.limits import Limits
from layerscope.models.directory import find_models
from layerscope.models.ledger import Ledger
from layerscope.models.store import ModelStore

KILLED = """
import sys
from pathlib import Path
from killed_steps import killed_at_every_step
from layerscope.limits import Limits
from layerscope.models.ledger import Ledger
from layerscope.models.store import ModelStore

before, change = Path(sys.argv[1]), sys.argv[2]

def make(directory):
    if change == "add":
        ModelStore(directory, Limits()).add(before.with_name("2.keras"), "model")
    elif change == "share":
        ModelStore(directory, Limits()).add(before.with_name("1.keras"), "twin")
    elif change == "remove":
        ModelStore(directory, Limits()).remove("model", 1)
    else:
        Ledger(labels={"stable": 1}).write(directory, "model")

for _ in killed_at_every_step(before, change, make):
    pass
"""

BEFORE, AFTER = {"model": [1]}, {"add": {"model": [1, 2]}, "share": {"model": [1], "twin": [1]}, "remove": {}}


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    for units in (1, 2):
        tiny_model(units=units).save(folder / f"{units}.keras")
    ModelStore(folder / "before", Limits()).add(folder / "1.keras", "model")
    return folder / "before"


def killed_at_every_step(before, change):
    """The directories that are left, in the order of the steps; in the last one nobody was killed."""
    run_script(KILLED, before, change)
    left = sorted(before.parent.glob(f"{change} *"), key=lambda each: int(each.name.split()[1]))
    assert len(left) > 2
    return left


def versions(directory):
    found = {}
    for each in find_models(directory):
        found.setdefault(each.name, []).append(each.version)
    return found


@pytest.mark.parametrize("change", ["add", "share", "remove"])
def test_r04_killed_at_every_step(before, change):
    states = []
    for directory in killed_at_every_step(before, change):
        ModelStore(directory, Limits())
        assert list((directory / ".incoming").iterdir()) == []
        states.append(versions(directory))
        assert states[-1] in (BEFORE, AFTER[change])
        for each in find_models(directory):
            assert {path.name for path in each.folder.iterdir()} == {"model.keras", "accepted.json"}
            stored = json.loads((each.folder / "accepted.json").read_text("utf-8"))
            assert stored["weight_bytes"] < each.path.stat().st_size
    assert states[0] == BEFORE
    assert states[-1] == AFTER[change]
    assert states == sorted(states, key=lambda state: state == AFTER[change]), "it goes one way"


def test_r04_killed_at_every_step_of_writing_a_label(before):
    labels = [Ledger.read(each, "model").labels for each in killed_at_every_step(before, "label")]
    assert labels[0] == {}
    assert labels[-1] == {"stable": 1}
    assert all(each in ({}, {"stable": 1}) for each in labels)


def test_the_number_of_a_removed_version_is_not_given_again(before, tmp_path):
    store = ModelStore(tmp_path, Limits())
    file = Path(before).with_name("1.keras")
    store.add(file, "model")
    store.remove("model", 1)
    assert versions(tmp_path) == {}
    assert store.add(file, "model").version == 2
