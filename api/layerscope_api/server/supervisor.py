"""The supervisor of several worker processes that answer at one address.

    layerscope serve: listens, forks, restarts
      ├── socket pair ── worker 0, the leader: polls the directory of models
      ├── socket pair ── worker 1
      └── socket pair ── worker N-1          each accepts from the same listening socket, with all models in its memory

A connection goes to the first worker that accepts it, so that one that is not ready, or is gone, gets none. A worker that
ends is started again; if one ends with an exit code before any has loaded the models, all end.

All workers serve the same models. A worker that changes a model for a caller applies the change, publishes it as a command to
the supervisor, and answers the caller when the supervisor reports that all others have acknowledged the command, or
ended. The supervisor numbers the commands and keeps the last about each version, for workers that are started later; it
sends each worker one command at a time. `command_log` decides what is sent, `command_router` has the sockets, and
`context.worker_sync` is the worker's side.

The supervisor is one thread over one selector: sockets of workers, signals, and the time of the next restart.
"""

import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from types import FrameType

from layerscope.errors import LayerscopeError
from layerscope_api.context.settings import Settings
from layerscope_api.context.shared_state import SharedState
from layerscope_api.context.worker_sync import SupervisedSync
from layerscope_api.observability.console import PlainConsole
from layerscope_api.observability.logs import configure_logs
from layerscope_api.server.command_router import CommandRouter
from layerscope_api.server.process import run

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 1
_END_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SIGNALS = (*_END_SIGNALS, signal.SIGCHLD)


def serve_with(settings: Settings, console: PlainConsole, listener: socket.socket) -> int:
    """Serve with as many processes as the settings say, until a signal ends them; the exit code.

    Args:
        settings: how the service is set up.
        console: where to say what is served.
        listener: the socket to accept connections from.

    Raises:
        LayerscopeError: with one process, why it cannot start.
    """
    if settings.workers == 1:
        run(settings, console, listener)
        return 0
    configure_logs(settings.log_format)
    directory = Path(tempfile.mkdtemp(prefix="layerscope-"))
    try:
        return _Supervisor(settings, console, listener, directory).run()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class _Supervisor:
    """Starts workers, restarts them, and carries commands between them.

    Args:
        settings: how many workers, and how they are set up.
        console: where the first says what is served.
        listener: what they accept from.
        directory: where they share stored images and samples of metrics.
    """

    def __init__(
        self, settings: Settings, console: PlainConsole, listener: socket.socket, directory: Path
    ) -> None:
        self._settings = settings
        self._console = console
        self._listener = listener
        self._directory = directory
        self._selector = DefaultSelector()
        self._router = CommandRouter(self._selector)
        self._wakeup = socket.socketpair()
        self._processes: dict[int, tuple[int, Connection]] = {}
        self._restarts: list[tuple[float, int]] = []
        self._is_ending = False
        self._code = 0

    def run(self) -> int:
        """Start workers, and end when they have ended; the exit code of the first that failed."""
        with self._signals_as_events():
            for worker in range(self._settings.workers):
                self._start(worker)
            while self._processes or self._restarts:
                for key, events in self._selector.select(self._seconds_to_restart()):
                    key.data(events)
                self._restart()
        return self._code

    @contextmanager
    def _signals_as_events(self) -> Iterator[None]:
        """Have signals written to a socket that the selector watches, so that none interrupts what is being done."""
        receiver, sender = self._wakeup
        for end in self._wakeup:
            end.setblocking(False)
        self._selector.register(receiver, EVENT_READ, self._handle_signals)
        # Only a signal with a handler in Python is written.
        before = {each: signal.signal(each, _do_nothing) for each in _SIGNALS}
        wakeup = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._close()

    def _handle_signals(self, _: int) -> None:
        with suppress(BlockingIOError):
            for number in self._wakeup[0].recv(4096):
                if number in _END_SIGNALS:
                    self._pass_on(number)
        # One SIGCHLD may stand for many workers.
        self._reap()

    def _reap(self) -> None:
        while self._processes:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            worker, connection = self._processes.pop(process)
            self._router.disconnect(connection)
            self._take_end_of(worker, os.waitstatus_to_exitcode(status))

    def _take_end_of(self, worker: int, code: int) -> None:
        if not self._is_ending and (code < 0 or self._router.is_serving):
            how = signal.Signals(-code).name if code < 0 else f"code {code}"
            logger.error("worker %d ended with %s, and is started again", worker, how)
            self._restarts.append((time.monotonic() + _PAUSE_SECONDS, worker))
            return
        self._code = self._code or max(code, 0)
        if not self._is_ending:
            self._pass_on(signal.SIGTERM)

    def _seconds_to_restart(self) -> float | None:
        return max(0.0, min(self._restarts)[0] - time.monotonic()) if self._restarts else None

    def _restart(self) -> None:
        now = time.monotonic()
        due = [worker for at, worker in self._restarts if at <= now]
        self._restarts = [(at, worker) for at, worker in self._restarts if at > now]
        for worker in due:
            self._start(worker)

    def _pass_on(self, number: int) -> None:
        """Pass a signal to all workers, and start none again."""
        self._is_ending = True
        self._restarts.clear()
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def _start(self, worker: int) -> None:
        own, other = self._router.connect()
        # Blocked until the fork has its own handlers: a signal to the whole process group is for it, too.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        process = os.fork()
        if process == 0:
            os._exit(self._begin(worker, other))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        # The worker must have the only one, so that the socket ends when the worker does.
        other.close()
        self._processes[process] = worker, own

    def _begin(self, worker: int, connection: Connection) -> int:
        """Be a worker, in a fork of the supervisor; the exit code."""
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        # Keys typed at a terminal send a signal to the supervisor only, which passes it on once.
        os.setpgid(0, 0)
        is_late = self._router.is_serving
        # The sockets of other workers must end when the supervisor does.
        self._close()
        sync = SupervisedSync(connection, is_leader=worker == 0, is_late=is_late)
        shared = SharedState(self._directory, worker, sync)
        console = PlainConsole(quiet=True) if shared.is_late else self._console
        try:
            run(self._settings, console, self._listener, shared)
        except LayerscopeError as error:
            self._console.print(error.message, style="red")
            return 1
        except BaseException:
            logger.exception("worker %d failed", worker)
            return 1
        else:
            return 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()

    def _close(self) -> None:
        self._selector.close()
        self._router.close()
        for end in self._wakeup:
            end.close()


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Let a signal do nothing but wake the selector."""
