"""Libraries of several workers over one directory: what one is asked to change, all carry out."""

import random
import threading
import time
from selectors import EVENT_READ, DefaultSelector
from socket import socketpair

import pytest
from text_models import EXPLICIT, POLL, libraries, states, text_of

from layerscope.errors import ModelNotLoaded, ModelRefused
from layerscope.limits import Limits
from layerscope.models.worker_sync import Command
from layerscope_api.context.worker_sync import Join, SupervisedSync
from layerscope_api.server.command_router import CommandRouter
from waiting import wait_for


class Supervisor:
    """The supervisor's loop in a thread of this process."""

    def __init__(self):
        self._selector = DefaultSelector()
        self._router = CommandRouter(self._selector)
        self._calls = []
        self._receiver, self._sender = socketpair()
        self._selector.register(self._receiver, EVENT_READ, lambda _: self._call())
        self._is_running = True
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def open(self):
        """A new worker's end of a socket, and whether workers serve already."""
        ends = []
        opened = threading.Event()

        def connect():
            ends.extend([self._router.connect()[1], self._router.is_serving])
            opened.set()

        self._ask(connect)
        assert opened.wait(20)
        return ends

    def connect(self, *, is_leader, when_orphaned=lambda: None):
        """The sync of a new worker."""
        connection, is_serving = self.open()
        sync = SupervisedSync(
            connection, is_leader=is_leader, is_late=is_serving, when_orphaned=when_orphaned
        )
        sync.start()
        return sync

    def end(self):
        def end():
            self._is_running = False

        self._ask(end)
        self._thread.join()
        self._router.close()
        self._selector.close()
        self._receiver.close()
        self._sender.close()

    def _ask(self, function):
        self._calls.append(function)
        self._sender.send(b"!")

    def _call(self):
        self._receiver.recv(1)
        self._calls.pop(0)()

    def _run(self):
        while self._is_running:
            for key, events in self._selector.select():
                key.data(events)


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.keras").write_text(name, "utf-8")
    return folder


@pytest.fixture
def supervisor():
    supervisor = Supervisor()
    yield supervisor
    supervisor.end()


@pytest.fixture
def start(models, supervisor):
    with libraries() as opened:

        def start(control, *, is_leader, **limits):
            sync = supervisor.connect(is_leader=is_leader)
            return opened(models, control, Limits(**limits), worker_sync=sync)

        yield start


@pytest.fixture
def pair(start):
    return start(EXPLICIT, is_leader=True), start(EXPLICIT, is_leader=False)


@pytest.mark.parametrize("origin", [0, 1])
def test_a_change_at_one_worker_is_carried_out_by_the_other_when_the_call_returns(pair, models, origin):
    one, other = pair[origin], pair[1 - origin]
    one.load("a")
    one.label("a", "stable")
    assert states(one) == states(other) == {"a@1": "ready", "b@1": "unloaded", "c@1": "unloaded"}
    assert other.registry.labels("a") == {"stable": 1}
    (models / "a.keras").write_text("changed", "utf-8")
    one.load("a")
    assert text_of(other, "a") == "changed"
    one.unlabel("a", "stable")
    assert other.registry.labels("a") == {}
    one.unload("a")
    with pytest.raises(ModelNotLoaded):
        text_of(other, "a")


def test_a_model_that_neither_can_load_goes_on_at_both(pair, models):
    pair[0].load("a")
    (models / "a.keras").write_text("broken", "utf-8")
    with pytest.raises(ModelRefused):
        pair[1].load("a")
    assert [text_of(each, "a") for each in pair] == ["a", "a"]


def test_what_makes_way_at_one_makes_way_at_the_other(start):
    one, other = (start(EXPLICIT, is_leader=is_leader, models_bytes=2) for is_leader in (True, False))
    one.load("a")
    one.load("b")
    text_of(other, "a")
    text_of(one, "b")
    text_of(one, "a")
    other.load("c")
    assert states(one) == states(other)
    assert list(states(one).values()).count("ready") == 2


def test_a_late_worker_takes_over_the_models_as_they_are(pair, start):
    pair[0].load("a")
    pair[1].load("b")
    pair[0].unload("a")
    pair[1].label("b", "stable")
    late = start(EXPLICIT, is_leader=False)
    assert states(late) == states(pair[0])
    assert late.registry.labels("b") == {"stable": 1}


def test_a_worker_that_ended_is_waited_for_no_more(pair):
    pair[1].close()
    began = time.monotonic()
    pair[0].load("a")
    assert time.monotonic() - began < 60


def test_the_leader_follows_the_directory_for_all(start, models):
    leader, other = start(POLL, is_leader=True), start(POLL, is_leader=False)
    (models / "a.keras").write_text("changed", "utf-8")
    (models / "b.keras").unlink()
    leader.poll()
    leader.poll()
    wait_for(lambda: text_of(other, "a") == "changed" and "b@1" not in states(other))


def test_changes_while_there_was_no_leader_are_published_by_its_replacement(start, models):
    leader, other = start(POLL, is_leader=True), start(POLL, is_leader=False)
    leader.close()
    (models / "a.keras").write_text("changed", "utf-8")
    (models / "b.keras").unlink()
    start(POLL, is_leader=True)
    wait_for(lambda: text_of(other, "a") == "changed" and "b@1" not in states(other))


def test_no_worker_begins_before_the_leader_has_loaded(start):
    begun = []
    thread = threading.Thread(target=lambda: begun.append(start(EXPLICIT, is_leader=False)))
    thread.start()
    time.sleep(0.3)
    assert begun == []
    start(EXPLICIT, is_leader=True)
    thread.join(20)
    assert len(begun) == 1


def test_commands_at_the_same_time_end_alike(pair):
    def change(library, seed):
        chosen = random.Random(seed)  # noqa: S311
        for _ in range(8):
            command = chosen.choice([library.load, library.unload])
            command(chosen.choice("abc"))

    threads = [threading.Thread(target=change, args=(each, seed)) for seed, each in enumerate(pair)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    wait_for(lambda: states(pair[0]) == states(pair[1]))


def test_a_worker_that_reads_nothing_holds_up_no_other(supervisor):
    stuck, _ = supervisor.open()
    stuck.send(Join())
    one, other = (supervisor.connect(is_leader=is_leader) for is_leader in (True, False))
    applied = []
    for each in (one, other):
        each.follow(applied.append)
    last = Command("load", "last", 1)
    # More than the buffer of a socket holds.
    one.publish(*(Command("load", "a" * 64, version) for version in range(1, 2000)), last)
    wait_for(lambda: last in applied)
    for each in (stuck, one, other):
        each.close()


def test_a_worker_learns_that_its_supervisor_is_gone():
    supervisor = Supervisor()
    is_orphaned = threading.Event()
    sync = supervisor.connect(is_leader=False, when_orphaned=is_orphaned.set)
    supervisor.end()
    assert is_orphaned.wait(20)
    sync.wait_for_leader()
    sync.close()
