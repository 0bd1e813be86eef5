"""Open models in other processes: what a file or its plugins do there costs the service one load at most.

    service ── request, file ──▶ fork server ── fork ──▶ child: opens the model, traces it, fills the file, ends
            ◀── how it ended ───

The fork server has imported TensorFlow and does nothing but fork, so a load does not wait for the import; and whatever a
load took, registered or broke is gone with its child. The answer is the file, see `handover`.
"""

import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, Self

from tensorflow.python.eager import context

from layerscope.errors import ModelRefused, ModelTooLarge
from layerscope.graph.loading.wire import REQUEST, STATUS
from layerscope.graph.prepared.prepared_model import PreparedModel, anonymous_file, read
from layerscope.models.directory import ModelSource

logger = logging.getLogger(__name__)


class LoaderProcess:
    """Prepares models in a process that runs while somebody is inside the context. Safe to use from many threads.

    One context may be entered many times, also at once: the last one out ends the process.
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

        That is worth it at the very beginning of a program, which can fork then: a later start has to import
        TensorFlow a second time.
        """
        with self._lock:
            self._server = self._server or _ForkServer()

    def load(self, source: ModelSource) -> PreparedModel:
        """Prepare a model.

        Raises:
            ModelRefused: it cannot be opened or traced, or the process did not survive it.
        """
        with self, self._lock, anonymous_file() as file:
            self.start()
            _require_success(self._ask(source, file))
            return read(file)

    def _ask(self, source: ModelSource, file: BinaryIO) -> int | None:
        """Without an answer the process is of no use any more: a late one would be taken for the next one's."""
        status = None
        try:
            with suppress(OSError):
                status = self._server.ask(source, file) if self._server else None
        finally:
            if status is None:
                self._stop()
        return status

    def _stop(self) -> None:
        if self._server is not None:
            self._server.end()
            self._server = None


SHARED_LOADER = LoaderProcess()
"""The one that the engines of this process share."""


class _ForkServer:
    """The running process, and the socket to it. It ends when the socket is closed, by whatever cause."""

    def __init__(self) -> None:
        self._socket, other = socket.socketpair()
        with other:
            self._wait = _fork(other) if _may_fork() else _execute(other)

    def ask(self, source: ModelSource, file: BinaryIO) -> int | None:
        """Have a child fill the file; its exit status, None if the process is gone."""
        socket.send_fds(self._socket, [REQUEST.dump_json(source)], [file.fileno()])
        answer = self._socket.recv(STATUS.size, socket.MSG_WAITALL)
        return int(STATUS.unpack(answer)[0]) if len(answer) == STATUS.size else None

    def end(self) -> None:
        """End it, and the load that it may be busy with."""
        self._socket.close()
        self._wait()


def _require_success(status: int | None) -> None:
    if status is None:
        raise ModelRefused("The process that opens models has ended: see the log, and load the model again.")
    if status == -signal.SIGKILL:
        raise ModelRefused("Opening the model was killed (SIGKILL): it may need more memory than there is.")
    if status in {-signal.SIGALRM, -signal.SIGXCPU}:
        raise ModelTooLarge(
            "Opening the model takes longer than it may: see model_open_seconds at /v1/limits."
        )
    if status < 0:
        name = signal.Signals(-status).name
        raise ModelRefused(f"Opening the model crashed ({name}): look at its plugins, or save it again.")
    if status > 0:
        raise ModelRefused("Opening the model failed, for a reason nobody foresaw: see the log.")


def _may_fork() -> bool:
    """A process with threads, or in which TensorFlow has run, cannot be used after a fork."""
    return threading.active_count() == 1 and context.context_safe() is None


def _execute(end: socket.socket) -> Callable[[], object]:
    command = [sys.executable, "-P", "-m", "layerscope.graph.loading.fork_server", str(end.fileno())]
    process = subprocess.Popen(  # noqa: S603 - nothing in the command comes from outside
        command,
        pass_fds=[end.fileno()],
        stdin=subprocess.DEVNULL,
        process_group=0,
    )
    return process.wait


def _fork(end: socket.socket) -> Callable[[], object]:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return lambda: os.waitpid(pid, 0)
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
    """Close what was inherited, such as sockets that listen, and take no part in how signals are handled."""
    # Nothing of the parent's may be collected here: that would close descriptors that have a new meaning.
    gc.freeze()
    os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.closerange(3, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
