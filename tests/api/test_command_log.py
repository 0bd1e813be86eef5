"""The supervisor's log of commands, with workers that apply, receive and end in any order."""

import random
from collections import deque
from typing import Any

import pytest

from layerscope.models.directory import Key
from layerscope.models.worker_sync import Command
from layerscope_api.context.worker_sync import CaughtUp, Done, Execute, Join, Publish, Published, Serving
from layerscope_api.server.command_log import CommandLog

KEYS: list[Key] = [(name, version) for name in "ab" for version in (1, 2)]


class Directory:
    """The versions that have files. Their numbers are not given again, as `ModelStore` gives them."""

    def __init__(self) -> None:
        self.keys = list(KEYS)
        self._last = 2

    def add(self) -> Key:
        self._last += 1
        self.keys.append(("a", self._last))
        return self.keys[-1]


class Worker:
    """A worker with sockets that deliver when the simulation says so; `state` is its last command about each version."""

    def __init__(self, log: CommandLog["Worker"], directory: Directory) -> None:
        self.log = log
        self.directory = directory
        self.state: dict[Key, str] = {}
        self.sent: deque[Any] = deque()
        self.received: deque[Any] = deque()
        self.has_joined = self.is_caught_up = False
        self.published = self.carried_out = 0
        log.connect(self)

    def join(self) -> None:
        """Find what is in the directory, and follow from then on."""
        self.state |= dict.fromkeys(self.directory.keys, "unload")
        self.sent.append(Join())
        self.has_joined = True

    def change(self, kind: Any, key: Key) -> None:
        """Apply a command of its own, and publish it."""
        if kind == "remove":
            self.directory.keys.remove(key)
        self.apply(Command(kind, *key))
        self.published += 1
        self.sent.append(Publish(Command(kind, *key)))

    def apply(self, command: Command) -> None:
        has_files = command.key in self.directory.keys
        self.state[command.key] = command.kind if command.kind != "load" or has_files else "remove"

    def served(self) -> dict[Key, str]:
        """What it serves and lists, but for versions that are neither loaded nor there."""
        return {key: kind for key, kind in self.state.items() if kind == "load" or key in self.directory.keys}

    def deliver_to_log(self) -> None:
        match self.sent.popleft():
            case Join():
                self.log.join(self)
            case Publish(command):
                self.log.publish(self, command)
            case Done(number):
                self.log.acknowledge(self, number)

    def deliver_from_log(self) -> bool:
        message = self.log.next_message(self)
        if message is not None:
            self.received.append(message)
        return message is not None

    def carry_out(self) -> None:
        match self.received.popleft():
            case Execute(number, command):
                self.apply(command)
                self.sent.append(Done(number))
            case CaughtUp():
                self.is_caught_up = True
            case Published(count):
                assert self.carried_out < count <= self.published
                self.carried_out = count


def settle(workers: list[Worker]) -> None:
    """Deliver everything."""
    for _ in range(10_000):
        steps = [worker.deliver_to_log for worker in workers if worker.sent]
        steps += [worker.carry_out for worker in workers if worker.received]
        for step in steps:
            step()
        is_sent = [worker.deliver_from_log() for worker in workers]
        if not any(is_sent) and not steps:
            return
    raise AssertionError("it never comes to rest")


class Simulation:
    """Three workers, and what may happen to them."""

    def __init__(self, seed: int) -> None:
        self.chosen = random.Random(seed)  # noqa: S311
        self.log: CommandLog[Worker] = CommandLog()
        self.directory = Directory()
        self.workers = [Worker(self.log, self.directory) for _ in range(3)]

    def step(self) -> None:
        worker = self.chosen.choice(self.workers)
        match self.chosen.choice(["change", "to log", "from log", "carry out", "join", "replace"]):
            case "change" if worker.is_caught_up:
                self.change(worker)
            case "to log" if worker.sent:
                worker.deliver_to_log()
            case "from log":
                worker.deliver_from_log()
            case "carry out" if worker.received:
                worker.carry_out()
            case "join" if not worker.has_joined:
                worker.join()
            case "replace" if self.chosen.random() < 0.1:
                self.replace(worker)

    def change(self, worker: Worker) -> None:
        kind = self.chosen.choice(["load", "load", "unload", "unload", "add", "remove"])
        if kind == "add":
            worker.change("load", self.directory.add())
        elif known := [key for key in self.directory.keys if key in worker.state]:
            worker.change(kind, self.chosen.choice(known))

    def replace(self, worker: Worker) -> None:
        # What was sent before the end still arrives.
        while worker.sent:
            worker.deliver_to_log()
        self.log.disconnect(worker)
        self.workers[self.workers.index(worker)] = Worker(self.log, self.directory)


@pytest.mark.parametrize("seed", range(200))
def test_every_worker_ends_with_the_same_last_command_whatever_happens_meanwhile(seed: int) -> None:
    simulation = Simulation(seed)
    for _ in range(400):
        simulation.step()
    for worker in simulation.workers:
        if not worker.has_joined:
            worker.join()
    settle(simulation.workers)

    first, *others = [worker.served() for worker in simulation.workers]
    assert others == [first, first]
    assert first.keys() == set(simulation.directory.keys)
    assert all(worker.is_caught_up for worker in simulation.workers)
    assert all(worker.carried_out == worker.published for worker in simulation.workers)


@pytest.fixture
def three() -> list[Worker]:
    log: CommandLog[Worker] = CommandLog()
    directory = Directory()
    workers = [Worker(log, directory) for _ in range(3)]
    for worker in workers:
        worker.join()
    settle(workers)
    return workers


def test_a_publication_is_carried_out_when_all_others_acknowledged_it_or_ended(three: list[Worker]) -> None:
    origin, slow, ending = three
    origin.change("load", KEYS[0])
    origin.deliver_to_log()
    assert slow.deliver_from_log()
    assert ending.deliver_from_log()
    assert not origin.deliver_from_log()
    slow.carry_out()
    slow.deliver_to_log()
    assert not origin.deliver_from_log()
    origin.log.disconnect(ending)
    assert origin.deliver_from_log()
    assert origin.received.popleft() == Published(1)


def test_a_worker_that_carries_nothing_out_is_sent_one_command_and_costs_one_entry_a_version(
    three: list[Worker],
) -> None:
    origin, other, stuck = three
    for _ in range(1000):
        origin.change("load", KEYS[0])
        origin.change("unload", KEYS[1])
        settle([origin, other])
        stuck.deliver_from_log()
    assert len(stuck.received) == 1
    assert len(origin.log) == 2
    assert origin.carried_out == 0
    settle(three)
    assert (stuck.state[KEYS[0]], stuck.state[KEYS[1]]) == ("load", "unload")
    assert origin.carried_out == origin.published


def test_an_older_command_that_is_being_carried_out_does_not_have_the_last_word(three: list[Worker]) -> None:
    one, other, _ = three
    one.change("load", KEYS[0])
    one.deliver_to_log()
    assert other.deliver_from_log()
    other.change("unload", KEYS[0])
    other.deliver_to_log()
    settle(three)
    assert [worker.state[KEYS[0]] for worker in three] == ["unload"] * 3


def test_a_removed_version_is_forgotten_when_all_that_may_have_found_its_files_know(
    three: list[Worker],
) -> None:
    origin, *_ = three
    log, directory = origin.log, origin.directory
    starting = Worker(log, directory)
    starting.state |= dict.fromkeys(directory.keys, "load")
    origin.change("remove", KEYS[0])
    settle(three)
    assert len(log) == 1
    starting.sent.append(Join())
    settle([*three, starting])
    assert starting.state[KEYS[0]] == "remove"
    assert len(log) == 0


def test_all_know_that_the_service_serves_once_one_has_caught_up() -> None:
    log: CommandLog[Worker] = CommandLog()
    directory = Directory()
    leader, other = Worker(log, directory), Worker(log, directory)
    assert not other.deliver_from_log()
    leader.join()
    settle([leader])
    assert log.is_serving
    assert other.deliver_from_log()
    assert other.received.popleft() == Serving()
