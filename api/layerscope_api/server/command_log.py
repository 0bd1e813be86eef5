"""The log of commands that workers publish about models, and what each worker has yet to be sent.

It holds the last command about each subject, numbered, and never two: an older one is replaced, so that a worker that
joins late carries out the state as it is now. To each worker the log hands out one command at a time, in the order of their
numbers; the next follows the acknowledgement. A slow worker thus fills no socket, and while it is busy, its queue
grows by one command a subject at most.

All workers end with the same last command about each subject, though a worker applies its own before it is numbered: if
an older command about the subject is on the way to that worker, it gets its own command once more, in place of that or
behind it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from layerscope.models.worker_sync import Command, Subject
from layerscope_api.context.worker_sync import CaughtUp, Execute, Published, Serving, ToWorker

Worker = TypeVar("Worker")
"""Whatever names a running process: a replacement has another name."""


@dataclass(frozen=True)
class _Record(Generic[Worker]):
    """A command in the log: its number, and the worker that published it."""

    number: int
    command: Command
    origin: Worker


@dataclass(frozen=True)
class _Queued:
    """A command that a worker has yet to carry out.

    Attributes:
        number: its own.
        since: the number of the first command about its subject that it replaced in the queue: until it is carried out,
            that one counts as not carried out either.
    """

    number: int
    since: int
    command: Command


@dataclass
class _State:
    """The state of a worker, as its supervisor knows it.

    Attributes:
        has_joined: whether it carries out commands.
        is_caught_up: whether `CaughtUp` was sent.
        knows_serving: whether `Serving` was sent.
        running: the command that it was sent and has not acknowledged.
        queue: the commands to send, by subject, in the order of their numbers.
        count: how many commands it published.
        published: its commands that others have yet to carry out: for each subject, the number of the last one and the
            value of `count` then.
        carried_out: the value of `count` at the last of its commands that, with all before it, is carried out by the others.
        reported: the value of `carried_out` that was sent last.
    """

    has_joined: bool = False
    is_caught_up: bool = False
    knows_serving: bool = False
    running: _Queued | None = None
    queue: dict[Subject, _Queued] = field(default_factory=dict)
    count: int = 0
    published: dict[Subject, tuple[int, int]] = field(default_factory=dict)
    carried_out: int = 0
    reported: int = 0

    def outstanding(self) -> Iterator[_Queued]:
        """The commands that it has not acknowledged."""
        if self.running is not None:
            yield self.running
        yield from self.queue.values()

    def awaits(self, subject: Subject) -> bool:
        """Whether it has not acknowledged a command about a subject."""
        is_running = self.running is not None and self.running.command.subject == subject
        return is_running or subject in self.queue

    def enqueue(self, number: int, command: Command) -> None:
        """Queue a command, in place of an older one about the same subject."""
        older = self.queue.pop(command.subject, None)
        self.queue[command.subject] = _Queued(number, number if older is None else older.since, command)

    def remember(self, number: int, subject: Subject) -> None:
        """Count a command that this worker published."""
        self.count += 1
        self.published.pop(subject, None)
        self.published[subject] = number, self.count


class CommandLog(Generic[Worker]):
    """The commands of all workers, and the messages to each. For one thread; nothing blocks.

    Attributes:
        is_serving: whether any worker has loaded its models, even if it has ended since.
    """

    def __init__(self) -> None:
        self.is_serving = False
        self._number = 0
        self._last: dict[Subject, _Record[Worker]] = {}
        self._on_disk: set[Subject] = set()
        self._workers: dict[Worker, _State] = {}

    def __len__(self) -> int:
        """How many commands are kept."""
        return len(self._last)

    def connect(self, worker: Worker) -> None:
        """Add a worker that is being started."""
        self._workers[worker] = _State()

    def disconnect(self, worker: Worker) -> None:
        """Forget a worker that has ended: no other waits for it any more."""
        self._workers.pop(worker, None)
        self._forget()

    def join(self, worker: Worker) -> None:
        """Have a worker carry out the last command about each subject, and all that are published from now on."""
        state = self._workers[worker]
        state.has_joined = True
        for record in self._last.values():
            if record.origin != worker:
                state.enqueue(record.number, record.command)

    def publish(self, origin: Worker, command: Command) -> None:
        """Number a command that its origin has applied, and have all others carry it out."""
        self._number += 1
        subject = command.subject
        # Taken out first, so that the log and the queues stay in the order of numbers.
        self._last.pop(subject, None)
        self._last[subject] = _Record(self._number, command, origin)
        if command.is_kept_on_disk:
            self._on_disk.add(subject)
        else:
            self._on_disk.discard(subject)
        for worker, state in self._workers.items():
            if worker == origin:
                state.remember(self._number, subject)
                if not state.awaits(subject):
                    continue
                # It may carry out the older command after it applied this one, which must come last.
            if state.has_joined:
                state.enqueue(self._number, command)
        self._forget()

    def acknowledge(self, worker: Worker, number: int) -> None:
        """Note that a worker has carried out the command that it was sent."""
        state = self._workers[worker]
        if state.running is not None and state.running.number == number:
            state.running = None
        self._forget()

    def next_message(self, worker: Worker) -> ToWorker | None:
        """The next message for a worker, which counts as sent; None if there is none now."""
        state = self._workers[worker]
        self._count_carried_out(worker)
        if self.is_serving and not state.knows_serving:
            state.knows_serving = True
            return Serving()
        if state.reported < state.carried_out:
            state.reported = state.carried_out
            return Published(state.carried_out)
        if state.running is None and state.queue:
            state.running = state.queue.pop(next(iter(state.queue)))
            return Execute(state.running.number, state.running.command)
        if state.has_joined and not state.is_caught_up and state.running is None:
            state.is_caught_up = self.is_serving = True
            return CaughtUp()
        return None

    def _count_carried_out(self, origin: Worker) -> None:
        others = [state for worker, state in self._workers.items() if worker != origin]
        state = self._workers[origin]
        while state.published:
            subject, (number, count) = next(iter(state.published.items()))
            if any(each.since <= number for other in others for each in other.outstanding()):
                break
            state.carried_out = count
            del state.published[subject]

    def _forget(self) -> None:
        """Drop the commands whose result is on disk, once every worker that might have read the disk before knows it."""
        if not self._on_disk or not all(state.has_joined for state in self._workers.values()):
            return
        needed = {each.command.subject for state in self._workers.values() for each in state.outstanding()}
        for subject in self._on_disk - needed:
            del self._last[subject]
        self._on_disk &= needed
