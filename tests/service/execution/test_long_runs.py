"""Runs that may never end: they run in a process of their own, beside all others."""

import time

import keras
import numpy as np
import pytest
from engine_models import ready, tensor
from keras import layers

from layerscope.errors import DeadlineExceeded
from layerscope.execution.batches import Job
from layerscope.execution.gradient_jobs import GradientJob
from layerscope.execution.scheduler import Scheduler
from layerscope.graph.remote.run_process import SHARED_RUN_PROCESS
from layerscope.graph.runtime.derivatives import Derivative

BOUNDS = {"batch_rows": 8, "batch_bytes": 10**9, "pending_jobs": 20}
ENDLESS = np.zeros((1, 8_000_000, 1), np.float32)
"""So many steps of a loop take minutes."""


@pytest.fixture(scope="module")
def recurrent():
    steps = keras.Input((None, 1), name="steps")
    head = layers.Dense(2, name="head")(layers.SimpleRNN(3, name="rnn")(steps))
    with ready(keras.Model(steps, head)) as model:
        yield model


@pytest.fixture(scope="module")
def dense():
    start = keras.Input((4,), name="start")
    with ready(keras.Model(start, layers.Dense(3, name="dense")(start))) as model:
        yield model


@pytest.fixture(scope="module")
def long_runs():
    with SHARED_RUN_PROCESS as process:
        scheduler = Scheduler(workers=1, run_process=process, **BOUNDS)
        yield scheduler
        scheduler.close()


@pytest.fixture
def short_runs():
    scheduler = Scheduler(workers=1, **BOUNDS)
    yield scheduler
    scheduler.close()


def job(model, values, address, kind=Job, deadline=60.0, **options):
    return kind(
        executable=model.executable,
        inputs=[values],
        keys=[f"row {number}" for number in range(len(values))],
        taps=(model.description.taps[address],),
        deadline=time.monotonic() + deadline,
        **options,
    )


def test_an_endless_run_ends_at_its_deadline_and_others_are_answered_meanwhile(
    long_runs, short_runs, recurrent, dense
):
    steps = tensor(1, 5, 1)
    endless = long_runs.submit(job(recurrent, ENDLESS, "head", deadline=4.0))
    following = long_runs.submit(job(recurrent, steps, "head"))
    assert short_runs.submit(job(dense, tensor(1, 4), "dense")).result(60).arrays[0].shape == (1, 3)
    assert not endless.done()
    with pytest.raises(DeadlineExceeded, match="was ended"):
        endless.result(60)
    (found,) = following.result(60).arrays
    (expected,) = recurrent.executable.run([steps], [recurrent.description.taps["head"]])
    np.testing.assert_array_max_ulp(found, expected, 4)


def test_gradients_run_there_too(long_runs, recurrent):
    head, rnn = (recurrent.description.taps[address] for address in ("head", "rnn"))
    derivative, steps, weights = Derivative(head, rnn), tensor(2, 5, 1), tensor(2, 2, seed=1)
    asked = job(recurrent, steps, "rnn", GradientJob, derivative=derivative)
    asked.inputs.append(weights)
    (found,) = long_runs.submit(asked).result(60).arrays
    expected = recurrent.executable.gradient([steps], derivative, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_no_plan_is_compiled_here_for_what_runs_there(long_runs, recurrent):
    before = recurrent.executable.plans.nbytes
    long_runs.submit(job(recurrent, tensor(1, 5, 1), "rnn")).result(60)
    assert recurrent.executable.plans.nbytes == before
