"""M13: whatever lies in a directory of models costs nobody but itself."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from layerscope.demo import MODELS
from layerscope.execution.local_engine import LocalEngine
from layerscope.models.directory import find_models

DEMO = MODELS / "digits" / "1" / "model.keras"


def place(directory, path):
    path = directory / path
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(DEMO, path)
    return path


def served(directory):
    engine = LocalEngine(directory)
    engine.load_all()
    found = {record.name: (record.state, record.reason) for record in engine.catalogue()}
    engine.close()
    return found


def test_m13_one_of_each_fault_among_good_ones(tmp_path):
    outside = place(tmp_path, "outside/model.keras")
    models = tmp_path / "models"
    place(models, "good/1/model.keras")
    (models / "linked").mkdir()
    (models / "linked" / "1").symlink_to(models / "good" / "1")
    place(models, "corrupt.keras").write_bytes(DEMO.read_bytes()[:50_000])
    place(models, "declared/1/model.keras")
    os.mkfifo(models / "declared" / "1" / "layerscope.json")
    (models / "escaped.keras").symlink_to(outside)
    (models / "nowhere.keras").symlink_to(models / "none")
    (models / "circle.keras").symlink_to(models / "circle.keras")
    os.mkfifo(models / "pipe.keras")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(models / "socket.keras"))
        found = served(models)
    assert {name for name, (state, _) in found.items() if state == "ready"} == {"good", "linked"}
    reasons = {name: reason for name, (state, reason) in found.items() if state == "failed"}
    assert reasons.keys() == {"corrupt", "declared", "escaped", "nowhere", "circle", "pipe", "socket"}
    assert "damaged" in reasons["corrupt"]
    assert "leads out of the model directory" in reasons["escaped"]
    for name in ("declared", "nowhere", "circle", "pipe", "socket"):
        assert "is no file" in reasons[name]
    assert not any(str(tmp_path) in reason for reason in reasons.values())


ASK = """
import json, sys
from pathlib import Path
from layerscope.errors import ModelRefused
from layerscope.models.directory import find_models, require_readable
from layerscope.models.watching import DirectoryWatch
found, watch = {}, DirectoryWatch()
for source in find_models(Path(sys.argv[1])):
    watch.take(source)
    try:
        require_readable(source)
        found[f"{source.name}@{source.version}"] = "readable"
    except ModelRefused as error:
        found[f"{source.name}@{source.version}"] = error.message
print(json.dumps(found))
"""


def test_m13_what_may_not_be_read(tmp_path):
    """In a process that obeys the rights of files also if these tests run as root."""
    placed = (
        "good.keras",
        "secret.keras",
        "closed/1/model.keras",
        "shut/1/model.keras",
        "shut/2/model.keras",
    )
    for path in (*placed, "listed/1/model.keras", "names/3/model.keras", "beside.keras", "beside/1/x"):
        place(tmp_path, path)
    for name in ("through", "through.keras"):
        (tmp_path / name).symlink_to(tmp_path / "closed" / "1" / "model.keras")
    for path in ("secret.keras", "closed", "shut/1", "beside"):
        (tmp_path / path).chmod(0)
    for path in ("listed/1", "names"):
        (tmp_path / path).chmod(0o400)
    obeying = [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if obeying and not shutil.which("setpriv"):
        pytest.skip("root reads everything, and there is no setpriv to make it obey")
    command = [*obeying, sys.executable, "-c", ASK, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    found = json.loads(said)
    assert {name for name, what in found.items() if what == "readable"} == {
        "good@1",
        "shut@2",
    }
    refused = {name: what for name, what in found.items() if what != "readable"}
    assert refused.keys() == {
        "secret@1",
        "through@1",
        "closed@1",
        "beside@1",
        "shut@1",
        "listed@1",
        "names@3",
    }
    assert all("may not be read" in what for what in refused.values())


def test_a_name_that_is_a_folder_of_a_bare_file_is_no_model(tmp_path):
    (tmp_path / "folder.keras").mkdir()
    Path(tmp_path, "file").write_text("x")
    assert find_models(tmp_path) == []
