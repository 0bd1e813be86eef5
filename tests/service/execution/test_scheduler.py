"""The scheduler, with real executables."""

import threading
import time
from concurrent.futures import Future

import numpy as np
import pytest
from engine_models import tensor

from layerscope.errors import DeadlineExceeded, InputMismatch, QueueFull
from layerscope.execution.scheduler import Job, Scheduler


@pytest.fixture(scope="module")
def plain(shared_engine):
    return shared_engine._registry.find("plain").model


def job(model, values, *addresses, deadline=60.0):
    taps = tuple(model.description.taps[address] for address in addresses)
    return Job(model.executable, [values], taps, time.monotonic() + deadline)


class Held:
    """An executable that waits to be let go, and otherwise is the one it holds."""

    def __init__(self, executable):
        self._executable = executable
        self.begun, self.go = threading.Event(), threading.Event()

    def run(self, inputs, taps):
        self.begun.set()
        assert self.go.wait(60)
        return self._executable.run(inputs, taps)


class Queue:
    """A scheduler whose one worker is busy until the queue is let go: what is submitted waits together."""

    def __init__(self, model, **options):
        self.scheduler = Scheduler(**{"workers": 1, "batch_rows": 8, "pending_jobs": 20, **options})
        self._held = Held(model.executable)
        first = job(model, tensor(1, 12, 12, 3), "flat")
        self.scheduler.submit(Job(self._held, first.inputs, first.taps, first.deadline))
        assert self._held.begun.wait(60)

    def let_go(self):
        self._held.go.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.let_go()
        self.scheduler.close()


@pytest.fixture
def queue(plain):
    with Queue(plain) as made:
        yield made


def test_what_waits_together_runs_together_and_each_gets_its_own(plain, queue):
    jobs = [job(plain, tensor(rows, 12, 12, 3, seed=rows), "conv1", "flat") for rows in (1, 2, 3)]
    futures = [queue.scheduler.submit(each) for each in jobs]
    queue.let_go()
    for each, future in zip(jobs, futures, strict=True):
        expected = plain.executable.run(each.inputs, each.taps)
        for array, wanted in zip(future.result(60).arrays, expected, strict=True):
            np.testing.assert_allclose(array, wanted, atol=1e-5)
            assert array.base is None
    assert queue.scheduler.runs == 2


def test_batches_do_not_grow_beyond_their_limit_and_groups_take_turns(plain, queue):
    several = [queue.scheduler.submit(job(plain, tensor(3, 12, 12, 3), "conv1")) for _ in range(4)]
    other = queue.scheduler.submit(job(plain, tensor(1, 12, 12, 3), "conv2"))
    large = queue.scheduler.submit(job(plain, tensor(9, 12, 12, 3), "conv3"))
    order = []
    for name, future in [
        *((f"conv1 {n}", each) for n, each in enumerate(several)),
        ("conv2", other),
        ("conv3", large),
    ]:
        future.add_done_callback(lambda _, name=name: order.append(name))
    queue.let_go()
    queue.scheduler.close()
    assert order == ["conv1 0", "conv1 1", "conv2", "conv3", "conv1 2", "conv1 3"]
    assert queue.scheduler.runs == 5


def test_a_bad_job_does_not_fail_its_neighbours(plain, queue):
    class Picky(Held):
        def run(self, inputs, taps):
            if np.isnan(inputs[0]).any():
                raise InputMismatch("Not a number.")
            return self._executable.run(inputs, taps)

    executable = Picky(plain.executable)
    good, bad = tensor(1, 12, 12, 3), np.full((1, 12, 12, 3), np.nan, np.float32)
    taps = (plain.description.taps["flat"],)
    jobs = [Job(executable, [values], taps, time.monotonic() + 60) for values in (good, bad, good)]
    first, failed, last = [queue.scheduler.submit(each) for each in jobs]
    queue.let_go()
    expected = plain.executable.run([good], taps)[0]
    np.testing.assert_array_equal(first.result(60).arrays[0], expected)
    np.testing.assert_array_equal(last.result(60).arrays[0], expected)
    with pytest.raises(InputMismatch):
        failed.result(60)


def test_cancelled_jobs_are_dropped_before_the_run(plain, queue):
    future = queue.scheduler.submit(job(plain, tensor(1, 12, 12, 3), "conv1"))
    assert future.cancel()
    queue.let_go()
    queue.scheduler.close()
    assert queue.scheduler.runs == 1


def test_a_job_whose_time_is_up_is_not_run(plain, queue):
    future = queue.scheduler.submit(job(plain, tensor(1, 12, 12, 3), "conv1", deadline=0.0))
    queue.let_go()
    with pytest.raises(DeadlineExceeded):
        future.result(60)
    queue.scheduler.close()
    assert queue.scheduler.runs == 1


def test_no_more_jobs_wait_than_may(plain):
    with Queue(plain, pending_jobs=2) as queue:
        futures = [queue.scheduler.submit(job(plain, tensor(1, 12, 12, 3), "conv1")) for _ in range(2)]
        with pytest.raises(QueueFull, match="2 requests are waiting"):
            queue.scheduler.submit(job(plain, tensor(1, 12, 12, 3), "conv1"))
        queue.let_go()
        for future in futures:
            future.result(60)
        queue.scheduler.submit(job(plain, tensor(1, 12, 12, 3), "conv1")).result(60)


def test_closing_finishes_what_waits_and_takes_no_more(plain, queue):
    future = queue.scheduler.submit(job(plain, tensor(1, 12, 12, 3), "conv1"))
    queue.let_go()
    queue.scheduler.close()
    assert isinstance(future, Future)
    assert future.done()
    with pytest.raises(QueueFull, match="closing"):
        queue.scheduler.submit(job(plain, tensor(1, 12, 12, 3), "conv1"))
