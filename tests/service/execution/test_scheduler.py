"""The scheduler, with real executables."""

import threading
import time
from concurrent.futures import Future

import keras
import numpy as np
import pytest
from engine_models import ready, tensor
from keras import layers

from layerscope.errors import DeadlineExceeded, InputMismatch, QueueFull
from layerscope.execution.batches import Job
from layerscope.execution.cancellation import CancellationToken
from layerscope.execution.fair_queue import by_owner
from layerscope.execution.lanes import Lanes
from layerscope.execution.scheduler import Scheduler
from layerscope.graph.edits import Edit
from layerscope.limits import Limits
from waiting import wait_for


@pytest.fixture
def plain():
    """Four convolutions, each about as much work as the others, in an executable without any plan.

    It is not exact, so that different images share runs.
    """
    keras.utils.set_random_seed(1)
    start = keras.Input((12, 12, 3), name="start")
    hidden = start
    for number in range(4):
        hidden = layers.Conv2D(8, 3, padding="same", activation="relu", name=f"conv{number}")(hidden)
    with ready(keras.Model(start, layers.Flatten(name="flat")(hidden)), exact=False) as model:
        yield model


def cancelled():
    token = CancellationToken()
    token.cancel()
    return token


def job(model, values, *addresses, executable=None, deadline=60.0, **options):
    return Job(
        executable=executable or model.executable,
        inputs=[values],
        keys=[str(row.sum()) for row in values],
        taps=tuple(model.description.taps[address] for address in addresses),
        deadline=time.monotonic() + deadline,
        **options,
    )


def picture(seed, rows=1):
    return tensor(rows, 12, 12, 3, seed=seed)


def compiled(model, *choices):
    for choice in choices:
        model.executable.plans.compile([model.description.taps[address] for address in choice.split(",")])


class Held:
    """An executable, or its plans, of which one method waits until it may go on."""

    def __init__(self, held, door):
        self._executable, self._door = held, door
        self.begun, self.go = threading.Event(), threading.Event()

    def __getattr__(self, name):
        method = getattr(self._executable, name)
        return method if name != self._door else lambda *given, **more: self._wait(method, given, more)

    def _wait(self, method, given, more):
        self.begun.set()
        assert self.go.wait(60)
        return method(*given, **more)


class WithPlans:
    """An executable with other plans."""

    def __init__(self, executable, plans):
        self._executable, self.plans = executable, plans

    def __getattr__(self, name):
        return getattr(self._executable, name)


class Queue:
    """A scheduler whose one worker is busy until the queue is let go: what is submitted waits together."""

    def __init__(self, model, **options):
        bounds = {"workers": 1, "batch_rows": 8, "batch_bytes": 10**9, "pending_jobs": 20}
        self.scheduler = Scheduler(**{**bounds, **options})
        self._model = model
        compiled(model, "start")
        self.hold()

    def hold(self):
        self._held = Held(self._model.executable, "run")
        self.scheduler.submit(job(self._model, picture(99), "start", executable=self._held))
        assert self._held.begun.wait(60)

    def let_go(self):
        self._held.go.set()

    def submit(self, *jobs):
        return [self.scheduler.submit(each) for each in jobs]

    def finish(self):
        """Let go, and tell how many runs there were for what had been submitted."""
        self.let_go()
        self.scheduler.close()
        return self.scheduler.runs - 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.finish()


@pytest.fixture
def queue(plain):
    with Queue(plain) as made:
        yield made


def assert_right(model, jobs, futures):
    for each, future in zip(jobs, futures, strict=True):
        expected = model.executable.run(each.inputs, each.taps)
        arrays = future.result(60).arrays
        assert len(arrays) == len(expected)
        for array, wanted in zip(arrays, expected, strict=True):
            np.testing.assert_allclose(array, wanted, rtol=1e-4, atol=1e-5)
            # Whoever keeps it does not keep the whole batch.
            assert not isinstance(array.base, np.ndarray)


def test_what_waits_together_runs_together_and_each_gets_its_own(plain, queue):
    compiled(plain, "conv1,flat")
    jobs = [job(plain, picture(rows, rows), "conv1", "flat") for rows in (1, 2, 3)]
    futures = queue.submit(*jobs)
    assert queue.finish() == 1
    assert_right(plain, jobs, futures)


def test_one_image_runs_once_for_all_the_layers_that_are_wanted_of_it(plain, queue):
    jobs = [job(plain, picture(1), f"conv{number}") for number in (3, 0, 2, 1)]
    futures = queue.submit(*jobs)
    assert queue.finish() == 1
    assert_right(plain, jobs, futures)


def test_rows_that_several_want_run_once(plain, queue):
    compiled(plain, "conv1")
    both = np.concatenate([picture(1), picture(2)])
    jobs = [job(plain, each, "conv1") for each in (both, both[::-1].copy(), picture(2), picture(1), both)]
    ran = []
    plain.executable.run, run = (
        lambda inputs, taps, **options: (ran.append(len(inputs[0])), run(inputs, taps, **options))[1],
        (plain.executable.run),
    )
    futures = queue.submit(*jobs)
    assert queue.finish() == 1
    assert ran[-1] == 2
    assert_right(plain, jobs, futures)


def test_another_image_is_not_taken_deeper_than_it_is_wanted(plain, queue):
    compiled(plain, "conv0", "conv3", "conv0,conv3")
    jobs = [job(plain, picture(1), "conv0"), job(plain, picture(2), "conv3")]
    futures = queue.submit(*jobs)
    assert queue.finish() == 2
    assert_right(plain, jobs, futures)


def test_two_values_of_one_layer_run_together_for_different_images(plain, queue):
    compiled(plain, "conv3,conv3@input")
    jobs = [job(plain, picture(1), "conv3@input", "conv3"), job(plain, picture(2), "conv3")]
    futures = queue.submit(*jobs)
    assert queue.finish() == 1
    assert_right(plain, jobs, futures)


def test_a_plan_that_would_have_helped_twice_is_there_the_third_time(plain, queue):
    compiled(plain, "conv1", "conv3")
    taps = [plain.description.taps[address] for address in ("conv1", "conv3")]
    runs = []
    for turn in range(3):
        before = queue.scheduler.runs
        jobs = [job(plain, picture(turn), address) for address in ("conv1", "conv3")]
        futures = queue.submit(*jobs)
        queue.let_go()
        assert_right(plain, jobs, futures)
        runs.append(queue.scheduler.runs - before)
        queue.hold()
        if turn == 1:
            wait_for(lambda: plain.executable.plans.is_ready(taps, [(12, 12, 3)]))
    assert runs == [2, 2, 1]


def test_compiling_holds_up_nobody(plain):
    compiled(plain, "conv1")
    held = Held(plain.executable.plans, "compile")
    executable = WithPlans(plain.executable, held)
    scheduler = Scheduler(workers=1, batch_rows=8, batch_bytes=10**9, pending_jobs=20)
    cold = job(plain, picture(1), "conv2", executable=executable)
    waits = scheduler.submit(cold)
    assert held.begun.wait(60)
    warm = [job(plain, picture(seed), "conv1") for seed in range(3)]
    assert_right(plain, warm, [scheduler.submit(each) for each in warm])
    assert not waits.done()
    held.go.set()
    assert_right(plain, [cold], [waits])
    scheduler.close()


def test_what_waits_for_a_plan_of_an_unloaded_model_is_no_fault(plain, caplog):
    """Whoever wanted it has gone away, or the model would be in use."""
    held = Held(plain.executable.plans, "compile")
    executable = WithPlans(plain.executable, held)
    scheduler = Scheduler(workers=1, batch_rows=8, batch_bytes=10**9, pending_jobs=20)
    left = scheduler.submit(job(plain, picture(1), "conv2", executable=executable, cancellation=cancelled()))
    assert held.begun.wait(60)
    plain.close()
    held.go.set()
    scheduler.close()
    assert isinstance(left.exception(60), DeadlineExceeded)
    assert caplog.records == []


def test_a_plan_that_would_have_helped_an_unloaded_model_is_no_fault(plain, queue, caplog):
    compiled(plain, "conv1", "conv3")
    held = Held(plain.executable.plans, "compile")
    executable = WithPlans(plain.executable, held)
    for turn in range(2):
        jobs = [job(plain, picture(turn), address, executable=executable) for address in ("conv1", "conv3")]
        futures = queue.submit(*jobs)
        queue.let_go()
        assert_right(plain, jobs, futures)
        queue.hold()
    assert held.begun.wait(60)
    queue.let_go()
    plain.close()
    held.go.set()
    queue.scheduler.close()
    assert caplog.records == []


def test_batches_do_not_grow_beyond_their_rows_and_models_take_turns(plain, queue):
    compiled(plain, "conv1", "conv2", "conv3")
    other = Held(plain.executable, "nothing")
    names = {}
    several = queue.submit(*(job(plain, picture(seed, 3), "conv1") for seed in range(4)))
    names |= {f"conv1 {number}": future for number, future in enumerate(several)}
    (names["other"],) = queue.submit(job(plain, picture(8), "conv2", executable=other))
    (names["large"],) = queue.submit(job(plain, picture(9, 9), "conv3"))
    order = []
    for name, future in names.items():
        future.add_done_callback(lambda _, name=name: order.append(name))
    assert queue.finish() == 4
    assert order == ["conv1 0", "conv1 1", "other", "conv1 2", "conv1 3", "large"]


def test_batches_do_not_grow_beyond_their_bytes(plain):
    compiled(plain, "conv1")
    row = 12 * 12 * 8 * 4
    with Queue(plain, batch_bytes=3 * row) as queue:
        jobs = [job(plain, picture(seed), "conv1") for seed in range(7)]
        futures = queue.submit(*jobs)
        assert queue.finish() == 3
        assert_right(plain, jobs, futures)


def test_a_bad_job_does_not_fail_its_neighbours(plain, queue):
    compiled(plain, "flat")

    class Picky(Held):
        def run(self, inputs, taps, **options):
            if np.isnan(inputs[0]).any():
                raise InputMismatch("Not a number.")
            return self._executable.run(inputs, taps, **options)

    executable = Picky(plain.executable, "nothing")
    bad = np.full((1, 12, 12, 3), np.nan, np.float32)
    jobs = [job(plain, values, "flat", executable=executable) for values in (picture(1), bad, picture(2))]
    first, failed, last = queue.submit(*jobs)
    queue.finish()
    assert_right(plain, [jobs[0], jobs[2]], [first, last])
    with pytest.raises(InputMismatch):
        failed.result(60)


def test_cancelled_jobs_are_dropped_before_the_run(plain, queue):
    (future,) = queue.submit(job(plain, picture(1), "conv1"))
    assert future.cancel()
    assert queue.finish() == 0


@pytest.mark.parametrize("options", [{"deadline": 0.0}, {"cancellation": cancelled()}])
def test_what_is_late_or_not_wanted_any_more_is_not_run(plain, queue, options):
    compiled(plain, "conv1")
    dropped, kept = queue.submit(job(plain, picture(1), "conv1", **options), job(plain, picture(2), "conv1"))
    assert queue.finish() == 1
    with pytest.raises(DeadlineExceeded):
        dropped.result(60)
    assert len(kept.result(60).arrays[0]) == 1


def test_no_more_jobs_wait_than_may(plain):
    with Queue(plain, pending_jobs=2) as queue:
        futures = queue.submit(*(job(plain, picture(seed), "conv1") for seed in range(2)))
        with pytest.raises(QueueFull, match="2 requests are waiting"):
            queue.submit(job(plain, picture(3), "conv1"))
        queue.finish()
        assert all(future.result(60).arrays for future in futures)


def test_closing_finishes_what_waits_and_takes_no_more(plain, queue):
    (future,) = queue.submit(job(plain, picture(1), "conv1"))
    queue.finish()
    assert isinstance(future, Future)
    assert future.done()
    with pytest.raises(QueueFull, match="closing"):
        queue.submit(job(plain, picture(1), "conv1"))


def test_what_a_layer_makes_of_a_whole_batch_is_told_of_each_image_alone():
    class Mean(layers.Layer):
        def call(self, inputs):
            return keras.ops.mean(inputs, axis=0)

    start = keras.Input((12, 12, 3), name="start")
    mean = Mean(name="mean")(start)
    model = keras.Model(start, layers.Flatten(name="flat")(start - mean))
    with ready(model) as made, Queue(made) as queue:
        compiled(made, "mean")
        jobs = [job(made, picture(seed), "mean") for seed in range(3)]
        futures = queue.submit(*jobs)
        assert queue.finish() == 3
        for seed, future in enumerate(futures):
            np.testing.assert_array_equal(future.result(60).arrays[0], picture(seed))


def test_an_image_under_edits_is_not_taken_for_the_same_image_without(plain, queue):
    tap = plain.description.taps["conv1"]
    edits = [{}, {tap: Edit(scale=0.0, shift=1.0)}, {tap: Edit(scale=0.0, shift=2.0)}, {}]
    futures = queue.submit(*(job(plain, picture(1), "conv1", edits=each) for each in edits))
    queue.finish()
    clean, ones, twos, again = (future.result(60).arrays[0] for future in futures)
    (expected,) = plain.executable.run([picture(1)], [tap])
    np.testing.assert_allclose(clean, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(again, clean)
    assert (ones == 1).all()
    assert (twos == 2).all()


def finished(jobs, futures):
    """The owners of jobs, in the order in which they ran."""
    order = []
    for each, future in zip(jobs, futures, strict=True):
        future.add_done_callback(lambda _, owner=each.owner: order.append(owner))
    return order


def test_keys_take_turns_in_long_work(plain):
    compiled(plain, "conv1")
    with Queue(plain, turn=by_owner) as queue:
        owners = ["one", "one", "one", "one", "other", None]
        jobs = [
            job(plain, picture(seed), "conv1", owner=owner, is_exact=False)
            for seed, owner in enumerate(owners)
        ]
        order = finished(jobs, queue.submit(*jobs))
        queue.finish()
    assert order == ["one", "other", None, "one", "one", "one"]


def test_short_work_runs_while_all_threads_of_long_work_are_busy(plain):
    compiled(plain, "start", "conv1")
    lanes = Lanes(Limits(short_milliseconds=100))
    held = [Held(plain.executable, "run") for _ in range(3)]
    for each in held:
        lanes.lane(0.2).scheduler.submit(job(plain, picture(1), "start", executable=each))
    assert held[0].begun.wait(60)
    jobs = [job(plain, picture(2), "conv1")]
    assert_right(plain, jobs, [lanes.lane(0.05).scheduler.submit(each) for each in jobs])
    unknown = lanes.lane(None)
    assert unknown.scheduler is lanes.lane(0.2).scheduler
    for each in held:
        each.go.set()
    lanes.close()
