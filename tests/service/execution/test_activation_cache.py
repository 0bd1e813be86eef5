import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from layerscope.execution.cache import ActivationCache


def forever():
    return 60.0


def arrays(keys):
    return [np.full(100, key, np.float32) for key in keys]


def never(keys):
    raise AssertionError(f"{keys} should have been known")


def test_the_second_request_is_a_hit_and_the_same_array():
    cache = ActivationCache(10_000)
    first, hit = cache.get_or_compute([1, 2, 1], arrays, forever)
    assert not hit
    second, hit = cache.get_or_compute([2, 1], never, forever)
    assert hit
    assert second[1] is first[1]
    np.testing.assert_array_equal(first[2], np.full(100, 2))


def test_only_what_is_missing_is_computed():
    cache, asked = ActivationCache(10_000), []
    cache.get_or_compute([1, 2], arrays, forever)
    found, hit = cache.get_or_compute([3, 1, 4], lambda keys: (asked.extend(keys), arrays(keys))[1], forever)
    assert (asked, hit, sorted(found)) == ([3, 4], False, [1, 3, 4])


def test_what_comes_out_cannot_be_written():
    cache = ActivationCache(10_000)
    found, _ = cache.get_or_compute([1], arrays, forever)
    with pytest.raises(ValueError, match="read-only"):
        found[1][0] = 5


def test_the_least_recently_used_make_way():
    cache = ActivationCache(2 * (400 + 256))
    for key in (1, 2, 1, 3):
        cache.get_or_compute([key], arrays, forever)
    assert cache.get_or_compute([1, 3], never, forever)[1]
    assert not cache.get_or_compute([2], arrays, forever)[1]


def test_what_is_larger_than_the_cache_is_given_but_not_kept():
    cache = ActivationCache(300)
    assert not cache.get_or_compute([1], arrays, forever)[1]
    assert not cache.get_or_compute([1], arrays, forever)[1]


class Gate:
    """A computation that begins, then waits to be told how it ends."""

    def __init__(self):
        self.begun, self.ending, self.error = threading.Event(), threading.Event(), None

    def __call__(self, keys):
        self.begun.set()
        assert self.ending.wait(60)
        if self.error:
            raise self.error
        return arrays(keys)


def waiting(cache, pool, keys, compute, timeout=forever):
    """Submit a call and return once it waits for another: its first look at the time is when it does."""
    looked = threading.Event()

    def look():
        looked.set()
        return timeout()

    call = pool.submit(cache.get_or_compute, keys, compute, look)
    assert looked.wait(60)
    return call


def test_who_asks_meanwhile_waits_for_who_asked_first():
    cache, gate = ActivationCache(10_000), Gate()
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(cache.get_or_compute, [1, 2], gate, forever)
        assert gate.begun.wait(60)
        second = waiting(cache, pool, [2], never)
        gate.ending.set()
        assert second.result()[0][2] is first.result()[0][2]
        assert second.result()[1]


@pytest.mark.parametrize("error", [ZeroDivisionError(), TimeoutError()])
def test_whoever_waited_for_a_failure_computes_all_it_lacks_at_once(error):
    cache, gate, asked = ActivationCache(10_000), Gate(), []
    gate.error = error
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(cache.get_or_compute, [1, 2, 3], gate, forever)
        assert gate.begun.wait(60)
        second = waiting(cache, pool, [1, 2], lambda keys: (asked.append(list(keys)), arrays(keys))[1])
        gate.ending.set()
        with pytest.raises(type(error)):
            first.result()
        assert sorted(second.result()[0]) == [1, 2]
    assert asked == [[1, 2]]
    assert cache.get_or_compute([1, 2], never, forever)[1]


def test_waiting_for_others_ends_in_time():
    cache, gate = ActivationCache(10_000), Gate()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get_or_compute, [1], gate, forever)
        assert gate.begun.wait(60)
        with pytest.raises(TimeoutError):
            cache.get_or_compute([1], never, lambda: 0.0)
        gate.ending.set()
        assert not first.result()[1]


def test_many_threads_and_few_keys():
    cache, computed, lock = ActivationCache(10_000), [], threading.Lock()

    def compute(keys):
        with lock:
            computed.extend(keys)
        time.sleep(0)
        return arrays(keys)

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(cache.get_or_compute, [n % 5, (n + 1) % 5], compute, forever) for n in range(60)]
        for n, call in enumerate(calls):
            assert set(call.result()[0]) == {n % 5, (n + 1) % 5}
    assert sorted(computed) == [0, 1, 2, 3, 4]
