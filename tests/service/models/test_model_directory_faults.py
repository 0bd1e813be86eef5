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
from layerscope.execution.engine import LocalEngine
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
    found = {entry.source.name: (entry.state, entry.reason) for entry in engine.catalogue()}
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
    os.mkfifo(models / "pipe.keras")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(models / "socket.keras"))
        found = served(models)
    assert {name for name, (state, _) in found.items() if state == "ready"} == {"good", "linked"}
    reasons = {name: reason for name, (state, reason) in found.items() if state == "failed"}
    assert reasons.keys() == {"corrupt", "declared", "escaped", "nowhere", "pipe", "socket"}
    assert "damaged" in reasons["corrupt"]
    assert "leads out of the model directory" in reasons["escaped"]
    for name in ("declared", "nowhere", "pipe", "socket"):
        assert "is no file" in reasons[name]
    assert not any(str(tmp_path) in reason for reason in reasons.values())


ASK = """
import json, sys
from pathlib import Path
from layerscope.errors import ModelRefused
from layerscope.models.directory import find_models, require_readable
found = {}
for source in find_models(Path(sys.argv[1])):
    try:
        require_readable(source.path, source.root)
        found[source.name] = "readable"
    except ModelRefused as error:
        found[source.name] = error.message
print(json.dumps(found))
"""


def test_m13_what_may_not_be_read(tmp_path):
    """In a process that obeys the rights of files also if these tests run as root."""
    for path in ("good.keras", "secret.keras", "closed/1/model.keras", "shut/1/model.keras"):
        place(tmp_path, path)
    (tmp_path / "secret.keras").chmod(0)
    (tmp_path / "closed").chmod(0)
    (tmp_path / "shut" / "1").chmod(0)
    obeying = [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if obeying and not shutil.which("setpriv"):
        pytest.skip("root reads everything, and there is no setpriv to make it obey")
    command = [*obeying, sys.executable, "-c", ASK, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    found = json.loads(said)
    assert found["good"] == "readable"
    assert "may not be read" in found["secret"]
    assert found.keys() == {"good", "secret"}


def test_a_name_that_is_a_folder_of_a_bare_file_is_no_model(tmp_path):
    (tmp_path / "folder.keras").mkdir()
    Path(tmp_path, "file").write_text("x")
    assert find_models(tmp_path) == []
