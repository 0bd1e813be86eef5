"""A worker's end of the socket to its supervisor, which carries the commands about models between workers.

    worker ── Join, Publish, Done, Leave ──▶ supervisor
           ◀── Execute, CaughtUp, Published, Serving ──

The supervisor numbers the commands and hands each worker one at a time, see `server.command_log`. A worker's answer to
`publish` is `Published`, once all other workers that run have acknowledged (`Done`) or ended. The end of the socket means that the
supervisor is gone: a worker ends with it.
"""

import logging
import os
import queue
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from layerscope.models.worker_sync import Command

logger = logging.getLogger(__name__)

_WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class Join:
    """To the supervisor: the models of the start are loaded, and commands are carried out from now on."""


@dataclass(frozen=True)
class Publish:
    """To the supervisor: the command was applied here, and is for all others."""

    command: Command


@dataclass(frozen=True)
class Done:
    """To the supervisor: the command of that number is carried out."""

    number: int


@dataclass(frozen=True)
class Leave:
    """To the supervisor: no more commands are carried out, and nothing is waited for."""


@dataclass(frozen=True)
class Execute:
    """To a worker: carry out a command, and acknowledge its number."""

    number: int
    command: Command


@dataclass(frozen=True)
class CaughtUp:
    """To a worker that joined: it has carried out all that was published before."""


@dataclass(frozen=True)
class Published:
    """To a worker: so many of the commands that it published are carried out by all the others."""

    count: int


@dataclass(frozen=True)
class Serving:
    """To every worker: at least one has loaded its models and serves."""


FromWorker = Join | Publish | Done | Leave
ToWorker = Execute | CaughtUp | Published | Serving


def end_process() -> None:
    """End this process in good order."""
    os.kill(os.getpid(), signal.SIGTERM)


class SupervisedSync:
    """The `WorkerSync` of a process that a supervisor started. Safe to use from many threads.

    Args:
        connection: the worker's end of the socket pair.
        is_leader: whether this worker polls the directory of models for all of them.
        is_late: whether workers served already when this one was started.
        when_orphaned: called, in a thread, when the supervisor is gone.
    """

    has_peers = True

    def __init__(
        self,
        connection: Connection,
        *,
        is_leader: bool,
        is_late: bool,
        when_orphaned: Callable[[], None] = end_process,
    ) -> None:
        self.is_leader = is_leader
        self.is_late = is_late
        self._connection = connection
        self._when_orphaned = when_orphaned
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        self._is_served = False
        self._is_closed = False
        self._published = 0
        self._carried_out = 0
        # Holds one command at most: the supervisor sends the next when one is acknowledged. None ends the follower.
        self._commands: queue.SimpleQueue[Execute | CaughtUp | None] = queue.SimpleQueue()
        self._receiver = threading.Thread(target=self._receive, name="layerscope-supervisor", daemon=True)
        self._follower: threading.Thread | None = None

    def start(self) -> None:
        """Begin to read what the supervisor sends. A process that forks, such as for its loader, must have done so."""
        self._receiver.start()

    def wait_for_leader(self) -> None:
        """Wait until a first worker has loaded its models, or `close` is called. The leader does not wait."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_leader or self._is_served or self._is_closed)

    def follow(self, apply: Callable[[Command], None]) -> None:
        """Apply the last command about each subject, then return, and apply in a thread what peers publish."""
        self._send(Join())
        if self._carry_out_until_caught_up(apply):
            self._follower = threading.Thread(
                target=self._carry_out_until_caught_up, args=(apply,), name="layerscope-follow", daemon=True
            )
            self._follower.start()

    def publish(self, *commands: Command) -> None:
        """Have all peers apply what was applied here, in this order."""
        for command in commands:
            with self._changed:
                self._published += 1
            self._send(Publish(command))

    def wait_for_peers(self) -> None:
        """Wait until the peers have applied all that was published here, have ended, or two minutes are over."""
        with self._changed:
            last = self._published
            self._changed.wait_for(lambda: self._carried_out >= last or self._is_closed, _WAIT_SECONDS)

    def close(self) -> None:
        """Stop following, and let all calls that wait return."""
        self._close()
        # The supervisor closes its end of the socket then, which ends the receiver.
        self._send(Leave())
        for thread in (self._receiver, self._follower):
            if thread is not None and thread.ident is not None:
                thread.join()
        self._connection.close()

    def _close(self) -> bool:
        """Wake all that wait; whether this was the first time."""
        with self._changed:
            was_closed, self._is_closed = self._is_closed, True
            self._changed.notify_all()
        self._commands.put(None)
        return not was_closed

    def _send(self, message: FromWorker) -> None:
        # The supervisor may be gone, or have closed its end after `Leave`: the receiver finds that out.
        with self._sending, suppress(OSError):
            self._connection.send(message)

    def _receive(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                self._take(self._connection.recv())
        if self._close():
            self._when_orphaned()

    def _take(self, message: ToWorker) -> None:
        match message:
            case Execute() | CaughtUp():
                self._commands.put(message)
            case Published(count):
                with self._changed:
                    self._carried_out = count
                    self._changed.notify_all()
            case Serving():
                with self._changed:
                    self._is_served = True
                    self._changed.notify_all()

    def _carry_out_until_caught_up(self, apply: Callable[[Command], None]) -> bool:
        """Carry out commands; whether that ended because this worker has caught up, and not because it is closed."""
        while isinstance(message := self._commands.get(), Execute):
            command = message.command
            try:
                apply(command)
            except Exception:
                logger.exception(
                    "a command of another worker failed here: %s %s@%d", command.kind, *command.key
                )
            self._send(Done(message.number))
        return message is not None
