"""Pipes, devices, links and folders in place of the records of a directory of models: nothing waits for them."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from layerscope.demo import MODELS
from layerscope.limits import Limits
from layerscope.models.bounds import OpeningBounds
from layerscope.models.directory import find_models

pytestmark = pytest.mark.wide

DEMO = MODELS / "digits" / "1" / "model.keras"

MAKE = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "link": lambda path: path.symlink_to(path.parent / "model.keras"),
    "link to nothing": lambda path: path.symlink_to("/none/there"),
    "folder": lambda path: path.mkdir(),
}

USE = """
import json, sys
from pathlib import Path
from layerscope.errors import LayerscopeError
from layerscope.limits import Limits
from layerscope.models.ledgers import Ledgers
from layerscope.models.mirrors.fetched import Fetched
from layerscope.models.store import ModelStore
from layerscope.models.watching import DirectoryWatch
from layerscope.models.directory import find_models

file = Path(sys.argv[1])
for models in map(Path, sys.argv[2:]):
    said = [Ledgers(models).read("model").last, len(Fetched.read(models / "model" / "1").files)]
    for source in find_models(models):
        DirectoryWatch().take(source)
    store = ModelStore(models, Limits())
    for act in (
        lambda: store.add(file, "other").version,
        lambda: store.add(file, "model").version,
        lambda: store.remove("other", 1),
    ):
        try:
            said.append(act())
        except LayerscopeError as error:
            said.append(error.code)
    print(json.dumps(said), flush=True)
"""


@pytest.mark.parametrize("kind", MAKE)
def test_m13_what_is_no_regular_file_is_not_opened(tmp_path, kind):
    names = ["ledger.json", "1/accepted.json", "1/fetched.json"]
    folders = [tmp_path / str(number) for number in range(len(names))]
    for folder, name in zip(folders, names, strict=True):
        place(folder, "model/1/model.keras")
        MAKE[kind](folder / "model" / name)
    assert used(*folders) == [[0, 0, 1, "control_refused", None], [0, 0, 1, 2, None], [0, 0, 1, 2, None]]


@pytest.mark.parametrize("kind", ["pipe", "device", "link"])
def test_m13_what_is_in_the_way_of_a_new_ledger_is_not_written_to(tmp_path, kind):
    place(tmp_path, "model/1/model.keras")
    place(tmp_path, "other/model.keras")
    MAKE[kind](tmp_path / "other" / "ledger.json.new")
    assert used(tmp_path) == [[0, 0, 1, 2, None]]
    assert (tmp_path / "other" / "model.keras").read_bytes() == DEMO.read_bytes()
    assert json.loads((tmp_path / "other" / "ledger.json").read_text("utf-8"))["last"] == 1


def test_a_ledger_that_cannot_be_read_is_not_replaced(tmp_path):
    """It may hold the numbers of versions that are not to be used again."""
    place(tmp_path, "other/ledger.json").write_text("{", "utf-8")
    assert used(tmp_path)[0][2] == "control_refused"
    assert (tmp_path / "other" / "ledger.json").read_text("utf-8") == "{"


@pytest.mark.parametrize("kind", MAKE)
def test_a_model_with_any_record_of_an_upload_is_not_trusted(tmp_path, kind):
    place(tmp_path, "model/1/model.keras")
    MAKE[kind](tmp_path / "model" / "1" / "accepted.json")
    (source,) = find_models(tmp_path, bounds=OpeningBounds.of(Limits()))
    assert source.bounds is not None


def place(models, path):
    path = models / path
    path.parent.mkdir(parents=True)
    shutil.copy(DEMO, path)
    return path


def used(*directories):
    """What reading the records of `model`, adding to `other` and `model`, and removing from `other` give, in each directory."""
    command = [sys.executable, "-c", USE, str(DEMO), *map(str, directories)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
