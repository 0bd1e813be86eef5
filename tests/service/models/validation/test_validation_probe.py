"""M04, M08 and M14: what a file says passes the validator, and opening it does not."""

import json
import os
from contextlib import suppress
from pathlib import Path

import keras
import numpy as np
import pytest
from hostile_files import layer_called, layers, with_config, with_weights
from keras import layers as keras_layers
from model_files import separable_model, tiny_model, write_version

from layerscope.errors import ModelRefused, ModelTooLarge, WeightsShapeMismatch
from layerscope.graph.loading.loader import SHARED_LOADER
from layerscope.limits import Limits
from layerscope.models.bounds import OpeningBounds
from layerscope.models.directory import ModelSource
from layerscope.models.probing import require_held
from layerscope.models.validation import validate
from waiting import wait_for

pytestmark = pytest.mark.wide

BOUNDS = OpeningBounds(seconds=60, address_space=8 << 30, parameters=500_000_000)


def probed(folder, bounds=BOUNDS):
    return SHARED_LOADER.load(ModelSource("m", 1, folder / "model.keras", folder, bounds=bounds))


def zombies():
    """Processes below this one that have ended and that nobody has waited for."""
    parents, ended = {}, []
    for each in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = each.read_text().rpartition(")")[2].split()[:2]
            parents[each.parent.name] = parent
            if state == "Z":
                ended.append(each.parent.name)
    return [pid for pid in ended if str(os.getpid()) in ancestors(pid, parents)]


def ancestors(pid, parents):
    while pid in parents:
        pid = parents[pid]
        yield pid


def quantized_model():
    start = keras.Input((20,), name="start")
    model = keras.Model(start, keras_layers.Dense(4, name="end")(keras_layers.Dense(32, name="dense")(start)))
    model.quantize("int4")
    return model


def stateful_model():
    start = keras.Input(batch_shape=(2, 4, 3), name="start")
    return keras.Model(start, keras_layers.GRU(2, stateful=True, name="gru")(start))


@pytest.mark.parametrize("make", [tiny_model, separable_model, quantized_model, stateful_model])
def test_m14_a_good_model_passes(tmp_path, make):
    folder = write_version(tmp_path, make(), "good")
    validate(folder / "model.keras", folder / "fresh.keras", Limits())
    (folder / "fresh.keras").rename(folder / "model.keras")
    assert probed(folder).metadata.parameters == make().count_params()


def test_an_upload_whose_sizes_are_numbers_of_its_input_is_refused(tmp_path):
    start = keras.Input((6,), dtype="int32", name="start")
    folder = write_version(tmp_path, keras.Model(start, keras.ops.bincount(start)), "bins")
    with pytest.raises(ModelRefused, match=r"is a number in the model's input, which nothing bounds"):
        probed(folder)


def bytes_read():
    """How many this process has read from files, from the page cache or not."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_a_file_is_read_once_however_many_layers_it_has(tmp_path):
    deep = keras.Sequential([keras.Input((128,)), *(keras_layers.Dense(128) for _ in range(60))])
    file = write_version(tmp_path, deep, "deep") / "model.keras"
    before = bytes_read()
    require_held(file, BOUNDS)
    assert file.stat().st_size < bytes_read() - before < 2 * file.stat().st_size


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("import os; os.kill(os.getpid(), 9)", ModelRefused, "was killed"),
        ("import time; time.sleep(600)", ModelTooLarge, "takes longer than it may"),
        ("while True: pass", ModelTooLarge, "takes longer than it may"),
        ("import os; os._exit(0)", ModelRefused, "ended too early"),
        ("bytearray(1 << 40)", ModelRefused, "raised MemoryError"),
        ("open('/dev/null'); [open('/dev/null') for _ in range(999)]", ModelRefused, "raised"),
    ],
    ids=["killed", "hanging", "busy", "silent", "greedy", "many files"],
)
def test_m14_opening_that_does_not_end_well(tmp_path, code, kind, words):
    """A plugin stands for whatever a model might do to a library."""
    bad = write_version(tmp_path, tiny_model(), "bad", plugins=["plugin.py"])
    (bad / "plugin.py").write_text(code, "utf-8")
    good = write_version(tmp_path, tiny_model(), "good")
    with pytest.raises(kind, match=words):
        probed(bad, OpeningBounds(seconds=3, address_space=8 << 30, parameters=10**9))
    assert probed(good).metadata.parameters > 0
    wait_for(lambda: not zombies())


def unbuilt(config):
    """Without the shapes that layers were built with, on an input that makes their weights enormous."""
    layer_called(config, "start")["config"]["batch_shape"] = [None, 8, 8, 3_000_000]
    for layer in layers(config):
        layer.pop("build_config", None)
    config.pop("build_config", None)
    text = json.dumps(config).replace("[null, 8, 8, 3]", "[null, 8, 8, 3000000]")
    return json.loads(text)


def test_m04_layers_that_are_larger_than_their_file(tmp_path):
    """By their inputs alone, which the validator does not compute: they are counted without a value of theirs."""
    folder = write_version(tmp_path, tiny_model(), "bad")
    with_config(folder / "model.keras", unbuilt)
    with pytest.raises(WeightsShapeMismatch) as raised:
        probed(folder)
    assert raised.value.details["size"] > 100_000_000


def test_m08_layers_of_a_trillion_units(tmp_path):
    folder = write_version(tmp_path, tiny_model(), "bad")

    def edit(config):
        layer_called(config, "dense")["config"]["units"] = 10**12

    with_config(folder / "model.keras", edit)
    with pytest.raises(ModelTooLarge) as raised:
        probed(folder)
    assert raised.value.details["limit"] == BOUNDS.parameters


def test_m10_weights_that_are_no_numbers_run(tmp_path):
    folder = write_version(tmp_path, tiny_model(), "nan")
    with_weights(
        folder / "model.keras",
        lambda file: file["layers/conv2d/vars/0"].write_direct(np.full((3, 3, 3, 4), np.nan, "f4")),
    )
    assert probed(folder).metadata.parameters > 0


def test_a_model_that_cannot_run_on_its_own_shape(tmp_path):
    start = keras.Input((4,), name="start")
    model = keras.Model(start, keras_layers.Dense(2, name="dense")(start))
    folder = write_version(tmp_path, model, "bad")

    def edit(config):
        layer_called(config, "dense")["class_name"] = "Conv2D"

    with_config(folder / "model.keras", edit)
    with pytest.raises(ModelRefused):
        probed(folder)
