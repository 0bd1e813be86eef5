"""M13: a disk that is full at any moment of adding a model: it is said, nothing has changed, and nothing is left."""

import json
import subprocess
import sys

import keras
import pytest

from small_disks import on_small_disk

ADD = """
import json, shutil, sys
from pathlib import Path
from layerscope.errors import LayerscopeError
from layerscope.limits import Limits
from layerscope.models.store import ModelStore

disk, file = Path(sys.argv[1]), Path(sys.argv[2])
store = ModelStore(disk / "models", Limits())

def tree():
    return sorted(str(path) for path in disk.rglob("*") if path.name != "ballast")

found = []
for room in json.loads(sys.argv[3]):
    before = tree()
    ballast = bytes(int(shutil.disk_usage(disk).free - room * file.stat().st_size) // 4096 * 4096)
    (disk / "ballast").write_bytes(ballast)
    try:
        found.append(store.add(file, "model").version)
    except LayerscopeError as error:
        found.append(error.code if tree() == before else "something is left")
    (disk / "ballast").unlink()
print(json.dumps(found))
"""

FULL = {".keras": [0, 0.03, 0.9, 1.1, 1.9, 2.9], ".h5": [0, 0.03, 0.9]}
"""The room that is left, in lengths of the file that is added: never as much as all that has to be written."""


@pytest.mark.parametrize("suffix", FULL)
def test_m13_no_room_at_any_moment(tmp_path, suffix):
    file = tmp_path / f"came{suffix}"
    keras.Sequential([keras.Input((100,)), keras.layers.Dense(500)]).save(file)
    disk = tmp_path / "disk"
    disk.mkdir()
    rooms = json.dumps([*FULL[suffix], 4])
    command = [*on_small_disk(disk, 1_500), sys.executable, "-c", ADD, str(disk), str(file), rooms]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["storage_full"] * len(FULL[suffix]) + [1]
