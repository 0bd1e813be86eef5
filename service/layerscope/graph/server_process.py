"""Server processes: they do for this process what could end it, and answer over a socket.

Each is a module with a function `serve(socket)`, which returns when the other end of the socket closes.
"""

import gc
import importlib
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from tensorflow.python.eager import context

logger = logging.getLogger(__name__)


class ServerProcess:
    """A running server process and the socket to it. The process ends when the socket closes, for any reason.

    Args:
        module: its full name. If this process has no threads yet and has not used TensorFlow, the server is a fork of it,
            which takes no time. Otherwise it is a new interpreter, which imports TensorFlow again.

    Attributes:
        socket: the end of this process.
    """

    def __init__(self, module: str) -> None:
        self.socket, other = socket.socketpair()
        with other:
            self._process, self._wait = (_fork if _may_fork() else _execute)(module, other)

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone: it says nothing unasked, so there is only the end of the stream to read."""
        if self.socket.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(0))

    def end(self) -> None:
        """End the process and all that it has started, also if it is stopped."""
        if self.socket.fileno() < 0:
            return
        self.socket.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process, signal.SIGKILL)
        self._wait()


class SharedServer:
    """A server process that runs while the context is entered. Safe to use from many threads.

    The context may be entered several times, also at the same time: leaving the last one ends the process.
    """

    module: str
    """The full name of the module that serves."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users = 0
        self._server: ServerProcess | None = None

    def __enter__(self) -> Self:
        with self._lock:
            self._users += 1
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._stop()

    def start(self) -> None:
        """Start the process now and not when it is first needed.

        At the very beginning, a program can fork the process from itself. A later start has to import TensorFlow a
        second time.
        """
        self._running()

    def _running(self) -> ServerProcess:
        """The process, which is started if it does not run."""
        with self._lock:
            if self._server is not None and self._server.has_ended:
                # It was killed while it had nothing to do, by a system without memory for example.
                self._stop()
            if self._server is None:
                self._server = ServerProcess(self.module)
            return self._server

    def _stop(self) -> None:
        with self._lock:
            if self._server is not None:
                self._server.end()
                self._server = None


def _may_fork() -> bool:
    """Whether a fork of this process is usable: it has no other threads, and TensorFlow has not run in it."""
    return threading.active_count() == 1 and context.context_safe() is None


def _execute(module: str, end: socket.socket) -> tuple[int, Callable[[], object]]:
    process = subprocess.Popen(  # noqa: S603 - nothing in the command comes from outside
        [sys.executable, "-P", "-m", module, str(end.fileno())],
        pass_fds=[end.fileno()],
        stdin=subprocess.DEVNULL,
        process_group=0,
    )
    return process.pid, process.wait


def _fork(module: str, end: socket.socket) -> tuple[int, Callable[[], object]]:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        # It does so itself, too: whichever is first, its children are in its group.
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)
        return pid, lambda: os.waitpid(pid, 0)
    try:
        _forget_parent(end.fileno())
        # Imported here, so that only the fork has what it needs.
        importlib.import_module(module).serve(end)
    except Exception:
        logger.exception("The process of %s failed", module)
    finally:
        os._exit(0)


def _forget_parent(kept: int) -> None:
    """Close inherited descriptors, such as listening sockets, and undo the signal handling of the parent."""
    # Nothing of the parent's may be collected here: that would close descriptors that have a new meaning.
    gc.freeze()
    os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.closerange(3, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
