"""Models opened in another process: they arrive whole, and nothing they do there reaches this one."""

import gc
import json
import os
import signal
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import assert_close, gru_model, noise, residual_model, traced
from keras import layers

from layerscope.errors import LoaderFailed, ModelRefused, ModelTooLarge
from layerscope.graph.loading.loader import SHARED_LOADER, LoaderProcess
from layerscope.graph.loading.prepare import prepare
from layerscope.graph.model import assemble
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.models.bounds import OpeningBounds
from layerscope.models.directory import ModelSource
from process_tree import is_alive
from waiting import wait_for

WHO = """
import os, pathlib, stat, sys
sockets = [fd for fd in map(int, os.listdir("/dev/fd")) if fd > 2 and os.path.exists(f"/dev/fd/{fd}")]
sockets = [fd for fd in sockets if stat.S_ISSOCK(os.fstat(fd).st_mode)]
who = f"{os.getppid()} {os.getpid()} {len(sockets)} {os.path.basename(sys.argv[0])}"
file = pathlib.Path(__file__).with_name("who.part")
file.write_text(who)
file.rename(file.with_suffix(""))
"""

SERVER = """
import socket, sys
from pathlib import Path
from layerscope.graph.loading.loader import LoaderProcess
from layerscope.models.directory import ModelSource
listener = socket.create_server(("127.0.0.1", 0))
for folder in map(Path, sys.argv[1:]):
    with LoaderProcess() as loader:
        loader.start()
        loader.load(ModelSource("m", 1, folder / "model.keras", folder))
"""


def write_model(folder, model=None, **declaration):
    folder.mkdir(parents=True, exist_ok=True)
    (model or small_model()).save(folder / "model.keras")
    (folder / "layerscope.json").write_text(json.dumps(declaration), "utf-8")
    return ModelSource("m", 1, folder / "model.keras", folder)


def small_model():
    start = keras.Input((4,), name="start")
    return keras.Model(start, layers.Dense(3, name="dense")(start))


def with_plugin(folder, code):
    source = write_model(folder, plugins=["plugin.py"])
    (folder / "plugin.py").write_text(code, "utf-8")
    return source


def loaded(source):
    return assemble(source, SHARED_LOADER.load(source), plan_bytes=2**28)


def value(model, address, inputs):
    return model.executable.run(inputs, [model.description.taps[address]])[0]


@pytest.mark.parametrize(("make", "shape"), [(residual_model, (6, 6, 4)), (gru_model, (5, 3))])
def test_what_another_process_prepares_is_what_this_one_would(tmp_path, make, shape):
    model = make()
    source = write_model(tmp_path, model)
    there, here = loaded(source), assemble(source, prepare(source), plan_bytes=2**28)
    assert [tap.address for tap in there.description.taps.outputs()] == [
        tap.address for tap in here.description.taps.outputs()
    ]
    assert there.description.digest == here.description.digest
    assert there.description.inputs == here.description.inputs
    assert there.description.parameters == model.count_params()
    (_, output), values = there.description.outputs[0], noise(2, *shape)
    assert_close(value(there, output.address, [values]), model(values))


def test_keras_can_train_in_a_process_that_has_traced_and_differentiated():
    model = gru_model()
    made, steps = traced(model), noise(2, 5, 3)
    made.executable.gradient([steps], Derivative(made.index["head"], made.index["embed"]))
    model.compile("adam", "mse")
    before = model.get_weights()
    model.fit(steps, noise(2, 2), verbose=0)
    assert any((then != now).any() for then, now in zip(before, model.get_weights(), strict=True))


def test_a_process_that_has_traced_nothing_can_differentiate_through_a_loop(tmp_path):
    model = loaded(write_model(tmp_path, gru_model()))
    tap, target = (model.description.taps[address] for address in ("embed", "head"))
    tf.compat.v1.experimental.output_all_intermediates(None)
    gradient = model.executable.gradient([noise(2, 5, 3)], Derivative(target, tap))
    assert np.abs(gradient).min() > 0


class Mixed(layers.Layer):
    """A weight of each type that numpy lacks, or that has another size than a float32."""

    TYPES = ("bfloat16", "float16", "float64", "int8", "int64", "bool")

    def build(self, shape):
        self.kept = [
            self.add_weight(shape=(3, 5), initializer="ones", dtype=each, name=each, trainable=False)
            for each in self.TYPES
        ]
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, inputs):
        total = sum(keras.ops.sum(keras.ops.cast(each, "float32")) for each in self.kept)
        return inputs * total * self.scale


def test_weights_of_every_type():
    start = keras.Input((4,), name="start")
    model = keras.Model(start, Mixed(name="mixed")(start))
    layer = model.get_layer("mixed")
    for number, weight in enumerate(layer.kept):
        weight.assign(np.arange(15).reshape(3, 5) % (number + 2))
    layer.scale.assign(0.5)
    made = traced(model)
    assert_close(made.value("mixed", on=[noise(2, 4)]), model(noise(2, 4)))
    sizes = [np.dtype(tf.as_dtype(each).as_numpy_dtype).itemsize for each in Mixed.TYPES]
    assert made.executable.plans.weight_bytes == 15 * sum(sizes) + 4


def test_a_model_without_weights(tmp_path):
    start = keras.Input((4,), name="start")
    model = loaded(write_model(tmp_path, keras.Model(start, layers.ReLU(name="active")(start))))
    np.testing.assert_array_equal(value(model, "active", [noise(1, 4)]), np.maximum(noise(1, 4), 0))
    assert model.description.memory_bytes == 0


def test_weights_stay_where_they_were_put_until_the_model_is_closed(tmp_path):
    source = write_model(tmp_path)
    prepared = SHARED_LOADER.load(source)
    memory = weakref.ref(prepared.memory)
    model = assemble(source, prepared, plan_bytes=2**28)
    value(model, "dense", [noise(2, 4)])
    del prepared
    gc.collect()
    assert memory() is not None
    model.close()
    assert memory() is None


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.kill(os.getpid(), 9)", "killed (SIGKILL): it may need more memory than there is"),
        ("import ctypes; ctypes.string_at(0)", "crashed (SIGSEGV)"),
        ("import sys; sys.exit()", "The plugin plugin.py raised SystemExit: see the log."),
        ("import os; os._exit(0)", "ended too early"),
        ("import os; os._exit(3)", "for a reason nobody foresaw: see the log"),
    ],
)
def test_a_plugin_that_breaks_its_process_costs_that_model_only(tmp_path, code, words):
    broken = with_plugin(tmp_path / "broken", code)
    with pytest.raises(ModelRefused) as raised:
        SHARED_LOADER.load(broken)
    assert words in raised.value.message
    values = noise(1, 4)
    model = loaded(write_model(tmp_path / "good"))
    assert value(model, "dense", [values]).shape == (1, 3)


def test_a_loader_that_is_stopped_holds_nothing_up(tmp_path, monkeypatch):
    monkeypatch.setattr("layerscope.graph.loading.loader._GRACE_SECONDS", 1)
    source = write_model(tmp_path)
    bounded = replace(source, bounds=OpeningBounds(1, 8 << 30, 1_000))
    with LoaderProcess() as loader:
        before = children()
        loader.start()
        (stopped,) = children() - before
        os.kill(stopped, signal.SIGSTOP)
        with pytest.raises(LoaderFailed, match="process that opens models has ended"):
            loader.load(bounded)
        assert not is_alive(stopped)
        loader.start()
        (other,) = children() - before
        os.kill(other, signal.SIGSTOP)
    assert not is_alive(other)


def test_a_loader_that_ends_in_a_load_is_no_fault_of_the_model(tmp_path):
    deadly = with_plugin(tmp_path / "deadly", "import os; os.kill(os.getppid(), 9); os.wait()")
    with pytest.raises(LoaderFailed, match="process that opens models has ended"):
        SHARED_LOADER.load(deadly)


def test_a_loader_that_was_killed_while_idle_is_started_again(tmp_path):
    with LoaderProcess() as loader:
        before = children()
        loader.start()
        (killed,) = children() - before
        os.kill(killed, signal.SIGKILL)
        assert loader.load(write_model(tmp_path)).metadata.digest


def test_opening_a_model_that_was_not_uploaded_is_bounded_in_time(tmp_path):
    endless = with_plugin(tmp_path, "while True: pass")
    with pytest.raises(ModelTooLarge, match="longer than it may, 1 seconds: see model_load_seconds"):
        SHARED_LOADER.load(endless, seconds=1)


def children():
    """The processes that this one has started."""
    return {
        int(each) for each in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    }


def test_what_a_plugin_prints_stays_out_of_the_way(tmp_path, capfd):
    model = loaded(with_plugin(tmp_path, "import os; print('x' * 100_000); os.write(1, b'y' * 100_000)"))
    assert model.description.parameters == 15
    assert capfd.readouterr().out == ""


def test_what_a_plugin_registers_is_gone_with_the_load(tmp_path):
    code = "import keras\n@keras.saving.register_keras_serializable('mine')\nclass Thing(keras.layers.ReLU): pass\n"
    scope = {"__name__": "layerscope_plugin_plugin"}
    exec(code, scope)  # noqa: S102
    start = keras.Input((4,), name="start")
    source = write_model(tmp_path, keras.Model(start, scope["Thing"]()(start)), plugins=["plugin.py"])
    keras.saving.get_custom_objects().clear()
    (tmp_path / "plugin.py").write_text(code, "utf-8")
    assert loaded(source).description.taps.calls[1].type == "Thing"
    assert keras.saving.get_custom_objects() == {}
    assert "layerscope_plugin_plugin" not in sys.modules
    (tmp_path / "layerscope.json").unlink()
    with pytest.raises(ModelRefused, match="write the class into a plugin"):
        SHARED_LOADER.load(source)


def test_another_plugin_is_another_model(tmp_path):
    source = with_plugin(tmp_path, "SIZE = 1")
    first = SHARED_LOADER.load(source).metadata.digest
    (tmp_path / "plugin.py").write_text("SIZE = 2", "utf-8")
    assert SHARED_LOADER.load(source).metadata.digest != first


def test_a_loader_ends_with_its_last_user_or_with_its_service_and_has_none_of_its_sockets(tmp_path):
    folders = [tmp_path / "quick", tmp_path / "slow"]
    for folder, code in zip(folders, (WHO, f"{WHO}\nimport time; time.sleep(600)"), strict=True):
        with_plugin(folder, code)
    service = subprocess.Popen([sys.executable, "-c", SERVER, *map(str, folders)])
    wait_for(lambda: who(folders[1]))
    assert not any(map(is_alive, who(folders[0])))
    assert all(map(is_alive, who(folders[1])))
    service.send_signal(signal.SIGKILL)
    service.wait()
    wait_for(lambda: not any(map(is_alive, who(folders[1]))))


def test_what_a_loader_has_started_ends_with_it_whatever_becomes_of_its_service(tmp_path):
    with_plugin(tmp_path, f"{WHO}\nimport time; time.sleep(600)")
    service = subprocess.Popen([sys.executable, "-c", SERVER, str(tmp_path)])
    wait_for(lambda: who(tmp_path))
    loader, child = who(tmp_path)
    service.send_signal(signal.SIGSTOP)
    os.kill(loader, signal.SIGKILL)
    wait_for(lambda: not is_alive(child))
    service.kill()
    service.wait()


def who(folder):
    """The loader process and its child, once they are known."""
    file = folder / "who"
    if not file.is_file():
        return []
    fork_server, child, sockets, started_as = file.read_text().split()
    # What has run the plugins for other loads, too, answers through a socket of its own.
    assert started_as == "-c"
    assert int(sockets) <= 1
    return [int(fork_server), int(child)]
