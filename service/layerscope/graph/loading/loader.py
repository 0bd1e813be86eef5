"""Loader: models are opened in other processes, so that a file or its plugins can spoil one load at most.

    service ── request, file ──▶ fork server ── fork ──▶ child: opens the model, traces it, fills the file, exits
            ◀── exit status ───

The fork server has imported TensorFlow and does nothing but fork, so a load does not wait for the import, and memory,
registrations and damage of a load end with its child. `wire` describes the messages. The result is the file, see
`layerscope.graph.prepared.prepared_model`.
"""

import gc
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
from typing import BinaryIO, Self

from tensorflow.python.eager import context

from layerscope.errors import LoaderFailed, ModelRefused, ModelTooLarge
from layerscope.graph.loading.wire import REQUEST, STATUS, Request
from layerscope.graph.prepared.prepared_model import PreparedModel, anonymous_file, read
from layerscope.limits import Limits
from layerscope.models.directory import ModelSource

logger = logging.getLogger(__name__)

_GRACE_SECONDS = 60
"""What the process that opens models may take longer than the opening: it may have to import TensorFlow first."""

_SECONDS = Limits().model_load_seconds


class LoaderProcess:
    """Prepares models in a fork server that runs while the context is entered. Safe to use from many threads.

    The context may be entered several times, also at the same time: leaving the last one ends the process.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users = 0
        self._server: _ForkServer | None = None

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
        """Start the process now and not with the first load.

        At the very beginning, a program can fork the process from itself. A later start has to import TensorFlow a
        second time.
        """
        with self._lock:
            self._server = self._server or _ForkServer()

    def load(self, source: ModelSource, seconds: int = _SECONDS) -> PreparedModel:
        """Prepare a model.

        Args:
            source: the model.
            seconds: how long opening it may take; an untrusted model has bounds of its own.

        Raises:
            ModelRefused: it cannot be opened or traced, takes too long, or its process did not survive it.
            LoaderFailed: the process that opens models ended, or was stopped.
        """
        request = Request(source, seconds if source.bounds is None else source.bounds.seconds)
        with self, self._lock, anonymous_file() as file:
            if self._server is not None and self._server.has_ended:
                # It was killed while nothing was loaded, by a system without memory for example.
                self._stop()
            self.start()
            _require_success(self._request(request, file), request)
            return read(file)

    def _request(self, request: Request, file: BinaryIO) -> int | None:
        """Send a request and wait for the status of its child; None without one.

        The process is ended then: a late answer would be taken for that of the next request.
        """
        status = None
        try:
            with suppress(OSError):
                status = self._server.request(request, file) if self._server else None
        finally:
            if status is None:
                self._stop()
        return status

    def _stop(self) -> None:
        if self._server is not None:
            self._server.end()
            self._server = None


SHARED_LOADER = LoaderProcess()
"""The loader that all engines of this process share."""


class _ForkServer:
    """The running fork server and the socket to it. The process ends when the socket closes, for any reason."""

    def __init__(self) -> None:
        self._socket, other = socket.socketpair()
        with other:
            self._process, self._wait = _fork(other) if _may_fork() else _execute(other)

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone: it says nothing unasked, so there is only the end of the stream to read."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def request(self, request: Request, file: BinaryIO) -> int | None:
        """Let a child fill the file; the exit status of the child, None if the fork server has ended or is stopped."""
        self._socket.settimeout(request.seconds + _GRACE_SECONDS)
        socket.send_fds(self._socket, [REQUEST.dump_json(request)], [file.fileno()])
        answer = self._socket.recv(STATUS.size, socket.MSG_WAITALL)
        return int(STATUS.unpack(answer)[0]) if len(answer) == STATUS.size else None

    def end(self) -> None:
        """End the process, also if it is stopped, and a load that it is busy with."""
        self._socket.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process, signal.SIGKILL)
        self._wait()


def _require_success(status: int | None, request: Request) -> None:
    if status is None:
        raise LoaderFailed("The process that opens models has ended: see the log, and load the model again.")
    if status == -signal.SIGKILL:
        raise ModelRefused("Opening the model was killed (SIGKILL): it may need more memory than there is.")
    if status in {-signal.SIGALRM, -signal.SIGXCPU}:
        limit = "model_load_seconds" if request.source.bounds is None else "model_open_seconds"
        raise ModelTooLarge(
            f"Opening the model takes longer than it may, {request.seconds} seconds: see {limit} at /v1/limits."
        )
    if status < 0:
        name = signal.Signals(-status).name
        raise ModelRefused(f"Opening the model crashed ({name}): look at its plugins, or save it again.")
    if status > 0:
        raise ModelRefused("Opening the model failed, for a reason nobody foresaw: see the log.")


def _may_fork() -> bool:
    """Whether a fork of this process is usable: it has no other threads, and TensorFlow has not run in it."""
    return threading.active_count() == 1 and context.context_safe() is None


def _execute(end: socket.socket) -> tuple[int, Callable[[], object]]:
    command = [sys.executable, "-P", "-m", "layerscope.graph.loading.fork_server", str(end.fileno())]
    process = subprocess.Popen(  # noqa: S603 - nothing in the command comes from outside
        command,
        pass_fds=[end.fileno()],
        stdin=subprocess.DEVNULL,
        process_group=0,
    )
    return process.pid, process.wait


def _fork(end: socket.socket) -> tuple[int, Callable[[], object]]:
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
        # Imported here, so that only the fork has what opens models.
        from layerscope.graph.loading.fork_server import serve  # noqa: PLC0415

        serve(end)
    except Exception:
        logger.exception("The process that opens models failed")
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
