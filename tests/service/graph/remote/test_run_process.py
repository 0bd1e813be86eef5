"""Runs in a process of their own: the values are the same, and whatever the run does, it costs that run only."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from graph_models import made_ready, noise, residual_model, traced
from keras import layers

from layerscope.errors import DeadlineExceeded, InputMismatch, RunCutOff, RunFailed
from layerscope.graph.edits import Edit
from layerscope.graph.loading.prepare import without_chance
from layerscope.graph.remote import run_process
from layerscope.graph.remote.remote_executable import RemoteExecutable
from layerscope.graph.remote.run_process import SHARED_RUN_PROCESS, RunBounds
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.tracing.signature import signature_of
from layerscope.graph.tracing.trace import trace
from process_tree import is_alive
from waiting import wait_for

ENDLESS = np.zeros((1, 8_000_000, 1), np.float32)
"""So many steps of a loop take minutes."""

SERVICE = """
import sys, time
sys.path.insert(0, sys.argv[1])
from layerscope.graph.remote.run_process import RunBounds, RunProcess
from layerscope.graph.remote.remote_executable import RemoteExecutable
processes = RunProcess().__enter__()
processes.start()
from graph_models import made_ready, noise, residual_model, traced
model = traced(residual_model())
bounds = RunBounds(time.monotonic() + 60)
RemoteExecutable(processes, model.executable, bounds).run([noise(1, 6, 6, 4)], model.taps("scores"))
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def process():
    with SHARED_RUN_PROCESS as shared:
        yield shared


@pytest.fixture(scope="module")
def recurrent():
    steps = keras.Input((None, 1), name="steps")
    return traced(keras.Model(steps, layers.Dense(2, name="head")(layers.SimpleRNN(3, name="rnn")(steps))))


@pytest.fixture(scope="module")
def residual():
    return traced(residual_model())


def remote(process, model, seconds=60.0, **bounds):
    return RemoteExecutable(process, model.executable, RunBounds(time.monotonic() + seconds, **bounds))


def children(parent):
    return [int(each) for each in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def run_processes(process):
    return children(process._server._process)


def test_values_are_those_of_the_executable(process, residual):
    images, taps = noise(3, 6, 6, 4), residual.taps("stem", "scores")
    there, here = (each.run([images], taps) for each in (remote(process, residual), residual.executable))
    for found, expected in zip(there, here, strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_max_ulp(found, expected, 4)


def test_feeds_and_edits_are_applied(process, residual):
    images, stem, added, scores = noise(2, 6, 6, 4), *residual.taps("stem", "add", "scores")
    feeds, edits = (
        {stem: noise(2, 6, 6, 4, seed=1)},
        {added: Edit(scale=0.5, shift=noise(2, 6, 6, 4, seed=2))},
    )
    for given in ({"feeds": feeds}, {"edits": edits}, {"feeds": feeds, "edits": edits, "exact": False}):
        (there,) = remote(process, residual).run([images], [scores], **given)
        (here,) = residual.executable.run([images], [scores], **given)
        np.testing.assert_array_max_ulp(there, here, 4)


class Noisy(layers.Layer):
    def call(self, inputs):
        return inputs + keras.random.normal(keras.ops.shape(inputs))


def test_random_numbers_are_those_of_the_seed(process):
    start = keras.Input((4,), name="start")
    model = keras.Model(start, Noisy(name="noisy")(start))
    noisy, values = made_ready(model, without_chance(trace(model, signature_of(model)))), noise(2, 4)
    taps = noisy.taps("noisy")
    (there,), (here,) = (
        each.run([values], taps, seed=3) for each in (remote(process, noisy), noisy.executable)
    )
    np.testing.assert_array_max_ulp(there, here, 4)
    assert (here != noisy.executable.run([values], taps)[0]).all()


@pytest.mark.parametrize("given", [(), ("weights",), ("weights", "values")])
def test_gradients_are_those_of_the_executable(process, residual, given):
    images, stem, scores = noise(2, 6, 6, 4), *residual.taps("stem", "scores")
    known = {"weights": noise(2, 5), "values": residual.executable.run([images], [stem])[0]}
    arrays = {name: known[name] for name in given}
    derivative = Derivative(scores, stem, is_fed="values" in given)
    there = remote(process, residual).gradient([images], derivative, **arrays)
    here = residual.executable.gradient([images], derivative, **arrays)
    np.testing.assert_allclose(there, here, rtol=1e-5, atol=1e-7)


def test_a_part_of_a_model_runs(process, residual):
    stem, branch = residual.taps("stem", "branch")
    window = noise(2, 4, 5, 4)
    (there,) = remote(process, residual).run_between({stem: window}, [branch])
    (here,) = residual.executable.run_between({stem: window}, [branch])
    np.testing.assert_array_max_ulp(there, here, 4)


def test_an_error_of_the_model_is_the_same_and_ends_nothing(process, residual):
    scores = residual.taps("scores")
    remote(process, residual).run([noise(1, 6, 6, 4)], scores)
    before = run_processes(process)
    with pytest.raises(InputMismatch) as there:
        remote(process, residual).run([noise(1, 7, 6, 4)], scores)
    with pytest.raises(InputMismatch) as here:
        residual.executable.run([noise(1, 7, 6, 4)], scores)
    assert there.value == here.value
    assert run_processes(process) == before


def test_the_weights_are_not_copied(process, residual):
    remote(process, residual).run([noise(1, 6, 6, 4)], residual.taps("scores"))
    (child,) = run_processes(process)
    descriptor = os.fstat(residual.prepared.descriptor)
    maps = Path(f"/proc/{child}/maps").read_text().splitlines()
    assert [line.split()[1] for line in maps if line.split()[4] == str(descriptor.st_ino)] == ["r--s"]


@pytest.mark.parametrize("bounds", [{"seconds": 2.0}, {"is_cancelled": lambda: True}])
def test_a_run_ends_when_its_time_is_up_or_nobody_waits_and_the_same_model_runs_again(
    process, recurrent, bounds
):
    head, steps = recurrent.taps("head"), noise(1, 5, 1)
    remote(process, recurrent).run([steps], head)
    (before,) = run_processes(process)
    ended = process.ended
    with pytest.raises(DeadlineExceeded):
        remote(process, recurrent, **bounds).run([ENDLESS], head)
    assert run_processes(process) == []
    assert process.ended == ended + 1
    (found,) = remote(process, recurrent).run([steps], head)
    np.testing.assert_array_max_ulp(found, recurrent.value("head", on=[steps]), 4)
    assert run_processes(process) != [before]


def test_r10_a_run_that_takes_far_longer_than_estimated_is_cut_off(process, recurrent, monkeypatch):
    monkeypatch.setattr(run_process, "_CUT_OFF_SECONDS", 1.0)
    with pytest.raises(RunCutOff, match=r"ended after 1 seconds, for it was expected to take 0\.1"):
        remote(process, recurrent, estimate=0.1).run([ENDLESS], recurrent.taps("head"))


@pytest.mark.parametrize(
    ("number", "words"),
    [(signal.SIGSEGV, "crashed its process (SIGSEGV)"), (signal.SIGKILL, "may need more memory")],
)
def test_r10_a_crash_is_the_answer_to_one_call(process, recurrent, number, words):
    head, steps = recurrent.taps("head"), noise(1, 5, 1)
    remote(process, recurrent).run([steps], head)
    (child,) = run_processes(process)
    threading.Timer(1.0, os.kill, (child, number)).start()
    with pytest.raises(RunFailed) as raised:
        remote(process, recurrent).run([ENDLESS], head)
    assert words in raised.value.message
    assert remote(process, recurrent).run([steps], head)[0].shape == (1, 2)


def test_a_process_that_was_killed_while_it_was_idle_is_started_again(process, recurrent):
    head, steps = recurrent.taps("head"), noise(1, 5, 1)
    remote(process, recurrent).run([steps], head)
    (child,) = run_processes(process)
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: process._connection.is_broken)
    assert remote(process, recurrent).run([steps], head)[0].shape == (1, 2)
    server = process._server._process
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: process._connection.is_broken)
    assert remote(process, recurrent).run([steps], head)[0].shape == (1, 2)
    assert process._server._process != server


def test_a_run_server_that_is_stopped_holds_nothing_up(process, recurrent, monkeypatch):
    monkeypatch.setattr("layerscope.graph.remote.connection._END_SECONDS", 0.5)
    remote(process, recurrent).run([noise(1, 5, 1)], recurrent.taps("head"))
    server, (child,) = process._server._process, run_processes(process)
    os.kill(server, signal.SIGSTOP)
    with pytest.raises(DeadlineExceeded):
        remote(process, recurrent, seconds=0.5).run([ENDLESS], recurrent.taps("head"))
    wait_for(lambda: not is_alive(child))
    assert remote(process, recurrent).run([noise(1, 5, 1)], recurrent.taps("head"))[0].shape == (1, 2)


def test_a_call_waits_for_its_turn_and_no_longer_than_its_deadline(process, recurrent, residual):
    head = recurrent.taps("head")

    def endless():
        with pytest.raises(DeadlineExceeded):
            remote(process, recurrent, seconds=3.0).run([ENDLESS], head)

    remote(process, recurrent).run([noise(1, 5, 1)], head)
    running = threading.Thread(target=endless)
    running.start()
    wait_for(process._turn.locked)
    with pytest.raises(DeadlineExceeded):
        remote(process, residual, seconds=0.2).run([noise(1, 6, 6, 4)], residual.taps("scores"))
    assert running.is_alive()
    remote(process, residual).run([noise(1, 6, 6, 4)], residual.taps("scores"))
    running.join()


def test_a_model_that_is_closed_is_closed_there_too(process):
    models = [traced(residual_model()) for _ in range(run_process._MOST_MODELS + 1)]
    for model in models:
        remote(process, model).run([noise(1, 6, 6, 4)], model.taps("scores"))
    (child,) = run_processes(process)

    def mapped(model):
        number = os.fstat(model.prepared.descriptor).st_ino
        return any(line.split()[4] == str(number) for line in Path(f"/proc/{child}/maps").open())

    assert [mapped(model) for model in models] == [False, *[True] * run_process._MOST_MODELS]
    models[-1].executable.close()
    assert not mapped(models[-1])
    assert mapped(models[-2])


def test_a_service_that_is_killed_leaves_no_process_and_the_run_process_has_none_of_its_sockets():
    folder = Path(__file__).parents[2]
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert service.stdout.readline() == b"ready\n"
    (server,) = children(service.pid)
    (child,) = children(server)
    assert [len(sockets(each)) for each in (server, child)] == [1, 1]
    service.kill()
    service.wait()
    service.stdout.close()
    wait_for(lambda: not is_alive(server) and not is_alive(child))


def sockets(process):
    links = [str(each.readlink()) for each in Path(f"/proc/{process}/fd").iterdir()]
    return [each for each in links if each.startswith("socket:")]
