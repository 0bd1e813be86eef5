"""Runs that may never end: they run in a process of their own, beside all others."""

import json
import shutil
import time
from pathlib import Path

import endless_loops
import keras
import numpy as np
import pytest
import unforeseen_sizes
from engine_models import ready, tensor
from keras import layers

from layerscope.errors import DeadlineExceeded
from layerscope.execution.batches import Job
from layerscope.execution.gradient_jobs import GradientJob
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.lanes import Lanes
from layerscope.execution.local_engine import LocalEngine
from layerscope.graph.remote.run_process import SHARED_RUN_PROCESS
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.limits import Limits

ENDLESS = np.zeros((1, 3, 1), np.float32)


def may_never_end():
    start = keras.Input((None, 1), name="start")
    return keras.Model(start, layers.Dense(2, name="head")(endless_loops.UntilPositive(name="loop")(start)))


@pytest.fixture(scope="module")
def looping():
    with ready(may_never_end()) as model:
        yield model


@pytest.fixture(scope="module")
def dense():
    start = keras.Input((4,), name="start")
    with ready(keras.Model(start, layers.Dense(3, name="dense")(start))) as model:
        yield model


@pytest.fixture(scope="module")
def schedulers(looping):
    """Those of long and of short work, with a run process that has begun."""
    with SHARED_RUN_PROCESS as process:
        lanes = Lanes(Limits(), run_process=process)
        long, short = lanes.lane(None).scheduler, lanes.lane(0.0).scheduler
        long.submit(job(looping, tensor(1, 3, 1), "head")).result(60)
        yield long, short
        lanes.close()


def job(model, values, address, kind=Job, deadline=60.0, **options):
    return kind(
        executable=model.executable,
        inputs=[values],
        keys=[f"row {number}" for number in range(len(values))],
        taps=(model.description.taps[address],),
        deadline=time.monotonic() + deadline,
        **options,
    )


def test_an_endless_run_ends_at_its_deadline_and_others_are_answered_meanwhile(schedulers, looping, dense):
    values, (long, short) = tensor(1, 5, 1), schedulers
    endless = long.submit(job(looping, ENDLESS, "head", deadline=5.0))
    following = long.submit(job(looping, values, "head"))
    assert short.submit(job(dense, tensor(1, 4), "dense")).result(60).arrays[0].shape == (1, 3)
    assert not endless.done()
    with pytest.raises(DeadlineExceeded, match="was ended"):
        endless.result(60)
    (found,) = following.result(60).arrays
    (expected,) = looping.executable.run([values], [looping.description.taps["head"]])
    np.testing.assert_array_max_ulp(found, expected, 4)


def test_gradients_run_there_too(schedulers, looping):
    head, loop = (looping.description.taps[address] for address in ("head", "loop"))
    derivative, values, weights = Derivative(head, loop), tensor(2, 5, 1), tensor(2, 5, 2, seed=1)
    asked = job(looping, values, "loop", GradientJob, derivative=derivative)
    asked.inputs.append(weights)
    before = looping.executable.plans.nbytes
    (found,) = schedulers[0].submit(asked).result(60).arrays
    assert looping.executable.plans.nbytes == before
    np.testing.assert_allclose(found, looping.executable.gradient([values], derivative, weights), rtol=1e-5)


def test_the_run_that_measures_a_size_ends_too(tmp_path):
    folder = tmp_path / "growing" / "1"
    folder.mkdir(parents=True)
    plugins = [Path(each.__file__) for each in (endless_loops, unforeseen_sizes)]
    for plugin in plugins:
        shutil.copy(plugin, folder)
    declaration = {"plugins": [plugin.name for plugin in plugins]}
    (folder / "layerscope.json").write_text(json.dumps(declaration), "utf-8")
    waited = may_never_end()
    steps = unforeseen_sizes.EveryStep(name="steps")(waited.output)
    keras.Model(waited.input, steps).save(folder / "model.keras")
    engine = LocalEngine(tmp_path, Limits(deadline_milliseconds=2_000))
    engine.load_all()
    query = Query(model="growing", sources={"start": [TensorSource(tensor(1, 5, 1))]}, layers=["steps"])
    with engine.prepare(query) as prepared, pytest.raises(DeadlineExceeded):
        _ = prepared.plan
    engine.close()


@pytest.mark.parametrize(("address", "is_there"), [("number", True), ("maps", False)])
def test_a_quick_run_of_long_work_is_made_there_if_its_values_are_moved_quickly(
    schedulers, address, is_there
):
    """Large maps take longer to move than to compute, and one number of each image does not."""
    start = keras.Input((64, 64, 3), name="start")
    maps = layers.Conv2D(64, 3, name="maps")(start)
    number = layers.GlobalAveragePooling2D(name="number")(layers.Conv2D(64, 5, name="deeper")(maps))
    with ready(keras.Model(start, number)) as model:
        before, asked = model.executable.plans.nbytes, job(model, tensor(1, 64, 64, 3), address)
        (found,) = schedulers[0].submit(asked).result(60).arrays
        assert (model.executable.plans.nbytes == before) is is_there
        (expected,) = model.executable.run(asked.inputs, asked.taps)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
