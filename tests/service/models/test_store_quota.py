"""The quota of the store counts what is written, not what came: deflated weights take what they unpack to."""

import io
import os
import threading
import zipfile
from contextlib import suppress
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from model_files import tiny_model

from layerscope.errors import StorageFull
from layerscope.limits import Limits
from layerscope.models.store import ModelStore

MIB = 1024 * 1024
QUOTA = 8 * MIB


def grown(directory, act):
    """The longest that the files of a directory were together while something was done."""
    sizes, done = [0], threading.Event()

    def look():
        while not done.is_set():
            sizes.append(written(directory))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        act()
    finally:
        done.set()
        thread.join()
    return max(sizes)


def written(directory):
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(folder, name).stat().st_blocks * 512
    return total


def deflated(path, *, twice):
    """A model of 40 MB of zeros in a file of a few hundred kilobytes: an archive, or an archive of packed arrays."""
    size = 40 * MIB // 4
    start = keras.Input((1,))
    keras.Model(start, keras.layers.Dense(4)(start)).save(path)
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    stored = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(stored, "r+") as file:
        packed = {"compression": "gzip", "compression_opts": 1} if twice else {}
        values = (
            np.tile(np.random.default_rng(1).random(128, np.float32), size // 128)
            if twice
            else np.zeros(size, "f4")
        )
        file.create_dataset("layers/other/vars/0", data=values, **packed)
    parts["model.weights.h5"] = stored.getvalue()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in parts.items():
            file.writestr(name, data)
    return path


@pytest.mark.parametrize("twice", [False, True])
def test_m13_deflated_weights_take_what_they_unpack_to(tmp_path, twice):
    file = deflated(tmp_path / "came.keras", twice=twice)
    assert file.stat().st_size < MIB
    models = tmp_path / "models"
    store = ModelStore(models, Limits(model_store_bytes=QUOTA))

    def add():
        with pytest.raises(StorageFull) as raised:
            store.add(file, "model")
        assert raised.value.details["size"] > 40 * MIB
        assert raised.value.details["limit"] == QUOTA

    assert grown(models, add) < QUOTA
    assert [path.name for path in models.rglob("*")] == [".incoming"]


def test_m13_uploads_in_progress_share_the_quota(tmp_path):
    """What one has claimed, another that begins meanwhile cannot claim."""
    file = tmp_path / "came.keras"
    tiny_model().save(file)
    store = ModelStore(tmp_path / "models", Limits(model_store_bytes=QUOTA))
    with store.receiving() as incoming:
        incoming.make_room(QUOTA - 1_000)
        with pytest.raises(StorageFull):
            store.add(file, "model")
    assert store.add(file, "model").version == 1


def test_m13_what_was_received_is_counted_once(tmp_path):
    """What came, and what it is unpacked to, are one upload: it fits where its larger half does."""
    file = tmp_path / "came.keras"
    keras.Sequential([keras.Input((1000,)), keras.layers.Dense(1000)]).save(file)
    size = file.stat().st_size
    store = ModelStore(tmp_path / "models", Limits(model_store_bytes=size + 200_000))
    with store.receiving() as incoming:
        incoming.make_room(size)
        incoming.path.write_bytes(file.read_bytes())
        assert store.add(incoming.path, "model").version == 1
