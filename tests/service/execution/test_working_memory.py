"""Working memory: all requests together stay within what there is, and who waits gets it in turn."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

from layerscope.errors import MemoryBusy, QuotaExceeded
from layerscope.execution.working_memory import Account, WorkingMemory
from waiting import wait_for


class Claims:
    """Threads that reserve memory: each waits for its turn, and then until it is let go."""

    def __init__(self, memory):
        self.memory, self.order, self._doors, self._threads = memory, [], {}, []

    def claim(self, name, size):
        self._doors[name] = threading.Event()
        thread = threading.Thread(target=self._work, args=(name, size))
        self._threads.append(thread)
        thread.start()

    def let_go(self, name):
        self._doors[name].set()

    def join(self):
        for door in self._doors.values():
            door.set()
        for thread in self._threads:
            thread.join(30)

    def _work(self, name, size):
        with self.memory.reserved(size, 30):
            self.order.append(name)
            assert self._doors[name].wait(30)


def test_who_asks_first_is_served_first_even_if_the_next_would_fit():
    claims = Claims(WorkingMemory(10))
    claims.claim("first", 6)
    wait_for(lambda: claims.order == ["first"])
    claims.claim("large", 9)
    wait_for(lambda: len(claims.memory._queue) == 1)
    claims.claim("small", 2)
    wait_for(lambda: len(claims.memory._queue) == 2)
    assert claims.order == ["first"]
    claims.let_go("first")
    wait_for(lambda: claims.order == ["first", "large"])
    claims.let_go("large")
    wait_for(lambda: claims.order == ["first", "large", "small"])
    claims.join()
    assert claims.memory.taken == 0


def test_small_ones_do_not_wait_for_large_ones_while_an_eighth_has_room():
    memory = WorkingMemory(80)
    claims = Claims(memory)
    claims.claim("first", 50)
    wait_for(lambda: claims.order == ["first"])
    claims.claim("large", 40)
    wait_for(lambda: len(memory._queue) == 1)
    for name in ("small", "second"):
        claims.claim(name, 6)
    wait_for(lambda: claims.order == ["first", "small"])
    claims.let_go("small")
    wait_for(lambda: claims.order == ["first", "small", "second"])
    claims.let_go("first")
    wait_for(lambda: claims.order[-1] == "large")
    claims.join()
    assert memory.taken == 0


def test_one_that_needs_nearly_all_is_not_passed_by():
    claims = Claims(WorkingMemory(80))
    claims.claim("first", 5)
    wait_for(lambda: claims.order == ["first"])
    claims.claim("all", 78)
    wait_for(lambda: len(claims.memory._queue) == 1)
    claims.claim("small", 5)
    wait_for(lambda: len(claims.memory._queue) == 2)
    claims.let_go("first")
    wait_for(lambda: claims.order == ["first", "all"])
    claims.let_go("all")
    wait_for(lambda: claims.order == ["first", "all", "small"])
    claims.join()


def test_who_gives_memory_back_hands_it_to_the_next():
    memory = WorkingMemory(10)
    with ThreadPoolExecutor(2) as pool, memory.reserved(8, 0):
        waiting = [pool.submit(memory.reserved(size, 30).__enter__) for size in (7, 2)]
        wait_for(lambda: len(memory._queue) == 2)
        memory.add(-8, None)
        # Whoever waits needs no turn of the interpreter for it.
        assert memory.taken == 7 + 2
        memory.add(8, None)
        assert [each.result(30) for each in waiting] == [None, None]


def test_who_gives_up_waiting_lets_the_next_have_its_turn():
    memory = WorkingMemory(10)
    claims = Claims(memory)
    claims.claim("first", 6)
    wait_for(lambda: memory.taken == 6)
    with ThreadPoolExecutor(1) as pool:
        refused = pool.submit(lambda: memory.reserved(5, 0.2).__enter__())
        wait_for(lambda: len(memory._queue) == 1)
        claims.claim("small", 3)
        with pytest.raises(MemoryBusy, match="6 of 10 bytes, and this one takes 5") as raised:
            refused.result(30)
    assert raised.value.details == {"bytes": 5, "taken": 6, "limit": 10}
    wait_for(lambda: claims.order == ["first", "small"])
    claims.join()
    assert memory.taken == 0


def test_who_has_its_share_is_told_so_and_lets_the_next_have_its_turn():
    memory = WorkingMemory(10, key_percent=50)
    with memory.reserved(4, 0, "first"), ThreadPoolExecutor(1) as pool:
        refused = pool.submit(lambda: memory.reserved(2, 0.2, "first").__enter__())
        wait_for(lambda: len(memory._queue) == 1)
        with memory.reserved(5, 0, "second"), pytest.raises(QuotaExceeded, match="4 of 5 bytes") as raised:
            refused.result(30)
    assert raised.value.details == {"bytes": 2, "taken": 4, "limit": 5}
    assert memory.taken == 0


@pytest.mark.parametrize("owners", [("large", "small"), (None, None)])
def test_small_bodies_find_room_where_large_ones_find_none(owners):
    memory = WorkingMemory(1, received_bytes=640)
    large, other, small = (Account(memory, owner) for owner in (*owners, owners[1]))
    large.receive(560)
    with pytest.raises(MemoryBusy, match="560 of 640 bytes"):
        other.receive(20)
    small.receive(10)
    large.close()
    small.close()
    other.receive(640)
    assert memory.received == 640


def test_what_fails_gives_its_memory_back():
    memory = WorkingMemory(10)
    with suppress(KeyError), memory.reserved(10, 0):
        raise KeyError
    with memory.reserved(10, 0):
        assert memory.taken == 10


def test_many_never_take_more_than_there_is():
    memory, most = WorkingMemory(100), []

    def work(seed):
        for size in np.random.default_rng(seed).integers(1, 101, 20).tolist():
            with memory.reserved(size, 60):
                most.append(memory.taken)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(most) == 160
    assert max(most) <= 100
    assert memory.taken == 0
