"""Jobs on clusters of Ray and Dask, whose workers and drivers are killed: the same bytes, whoever ends the job."""

import json
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from extraction_content import begin_command, content, write_many_digits

from clusters import dask_cluster, ray_cluster
from layerscope.errors import JobDiffers, SourceUnreachable
from layerscope.extraction.output import Output
from layerscope.extraction.runners import runner_named
from layerscope.extraction.runners.here import Here
from layerscope.extraction.runners.processes import Processes
from layerscope.extraction.running import run
from waiting import wait_for

pytestmark = pytest.mark.cluster

IMAGES, PARTS = 120, 30

HOLDING = """
import glob, os, sys, time

def hold(event, args):
    if event == "open" and str(args[0]).endswith(".png"):
        while len(glob.glob(os.environ["HELD_PARTS"] + "/*")) >= 20:
            time.sleep(0.05)

if "layerscope.extraction.runners.worker" in sys.orig_argv:
    sys.addaudithook(hold)
"""
"""Processes that hold a model read no further image while twenty parts are done, so that who kills is never too late."""


@pytest.fixture(scope="module")
def holding(tmp_path_factory):
    """A folder with the code that holds, and a link to the parts that it counts, if there is one."""
    folder = tmp_path_factory.mktemp("holding")
    (folder / "sitecustomize.py").write_text(HOLDING, "utf-8")
    return {"PYTHONPATH": str(folder), "HELD_PARTS": str(folder / "parts")}


@pytest.fixture(scope="module")
def ray(holding):
    with ray_cluster(holding) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def dask(holding, tmp_path_factory):
    with dask_cluster(tmp_path_factory.mktemp("dask"), holding) as cluster:
        yield cluster


@pytest.fixture
def held(holding, tmp_path):
    """The link that holds the job until it is removed."""
    link = Path(holding["HELD_PARTS"])
    link.symlink_to(tmp_path / "out" / "parts")
    yield link
    link.unlink(missing_ok=True)


@pytest.fixture(params=["ray", "dask"])
def cluster(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def data(tmp_path):
    return write_many_digits(tmp_path / "digits", IMAGES)


@pytest.fixture
def whole(plan, prepared, data):
    """The result of the same job without any interruption."""
    output = plan(data, "whole")
    run(output, Here(prepared))
    return content(output.address)


@pytest.fixture
def begin(data, tmp_path):
    """Begins the job on a cluster, or goes on with it, in a process of its own."""

    def call(cluster, on=None):
        return begin_command(
            data, tmp_path / "out", "--on", on or cluster.on, cache=tmp_path / "cache", **cluster.surroundings
        )

    return call


def parts_of(driver):
    """How many parts are done, as often as the driver says so."""
    for line in driver.stdout:
        said = json.loads(line)
        if "result" in said:
            return
        yield said["progress"]["parts"]


def kill(pids):
    """Kill the first of some processes that is still there; whether there is one."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def test_a_job_survives_its_workers_and_its_driver_and_is_ended_by_processes(
    cluster, begin, held, plan, prepared, data, whole
):
    victims = {3: cluster.workers, 8: cluster.extracting}
    with begin(cluster) as driver:
        for parts in parts_of(driver):
            if parts in victims:
                wait_for(lambda pids=victims[parts]: kill(pids()))
            if parts == 15:
                driver.kill()
                break
    output = plan(data)
    assert 0 < len(output.left()) < PARTS
    held.unlink()
    # Those of Ray end with the driver. Those of Dask are kept a while, for the next job.
    wait_for(lambda: not cluster.extracting())
    assert run(output, Processes(1, prepared)).is_complete
    assert content(output.address) == whole


def test_an_error_of_a_worker_ends_the_job_as_itself(dask, plan, data):
    output = plan(data)
    path = Path(output.address, "job.json")
    path.write_text(path.read_text("utf-8").replace(output.job.digest, "sha256-0"), "utf-8")
    with pytest.raises(JobDiffers, match="another model"):
        run(Output(output.address), runner_named(dask.on))


def test_a_scheduler_that_is_not_there_is_said(plan, data):
    from dask import config

    with config.set({"distributed.comm.timeouts.connect": "1s"}), pytest.raises(SourceUnreachable):
        run(plan(data), runner_named("dask://127.0.0.1:1"))


@pytest.mark.soak
@pytest.mark.parametrize("victim", ["worker", "extractor", "driver"])
def test_killed_at_ten_moments_a_job_ends_with_the_same_bytes(cluster, begin, data, whole, tmp_path, victim):
    rng = np.random.default_rng(0)
    killed = 0
    while killed < 10:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        for _ in range(11):
            with begin(cluster) as driver:
                last = int(rng.integers(1, 8))
                for number, _ in enumerate(parts_of(driver)):
                    if number == last and victim == "driver":
                        driver.kill()
                        killed += 1
                        break
                    if number % 8 == last and victim != "driver":
                        killed += kill(cluster.workers() if victim == "worker" else cluster.extracting())
            if driver.returncode == 0:
                break
        assert driver.returncode == 0
        assert content(tmp_path / "out") == whole
    wait_for(lambda: not cluster.extracting())
