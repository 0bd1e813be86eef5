"""Loader: models are opened in other processes, so that a file or its plugins can spoil one load at most.

    service ── request, file ──▶ fork server ── fork ──▶ child: opens the model, traces it, fills the file, exits
            ◀── exit status ───

The fork server has imported TensorFlow and does nothing but fork, so a load does not wait for the import, and memory,
registrations and damage of a load end with its child. `wire` describes the messages. The result is the file, see
`layerscope.graph.prepared.prepared_model`.
"""

import signal
import socket
from contextlib import suppress
from typing import BinaryIO, Protocol, Self

from layerscope.errors import LoaderFailed, ModelRefused, ModelTooLarge
from layerscope.graph.loading.wire import REQUEST, STATUS, Request
from layerscope.graph.prepared.prepared_model import PreparedModel, anonymous_file, read
from layerscope.graph.server_process import SharedServer
from layerscope.limits import Limits
from layerscope.models.directory import ModelSource

_GRACE_SECONDS = 60
"""What the process that opens models may take longer than the opening: it may have to import TensorFlow first."""

_SECONDS = Limits().model_load_seconds


class Loader(Protocol):
    """What prepares models while its context is entered."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def load(self, source: ModelSource, seconds: int = ...) -> PreparedModel:
        """Prepare a model.

        Raises:
            ModelRefused: it cannot be opened or traced.
        """


class LoaderProcess(SharedServer):
    """Prepares models in a fork server that runs while the context is entered, see `SharedServer`."""

    module = "layerscope.graph.loading.fork_server"

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
            _require_success(self._request(request, file), request)
            return read(file)

    def _request(self, request: Request, file: BinaryIO) -> int | None:
        """Send a request and wait for the status of its child; None without one.

        The process is ended then: a late answer would be taken for that of the next request.
        """
        status = None
        try:
            with suppress(OSError):
                status = _status_of(self._running().socket, request, file)
        finally:
            if status is None:
                self._stop()
        return status


SHARED_LOADER = LoaderProcess()
"""The loader that all engines of this process share."""


def _status_of(server: socket.socket, request: Request, file: BinaryIO) -> int | None:
    """Let a child fill the file; the exit status of the child, None if the fork server has ended or is stopped."""
    server.settimeout(request.seconds + _GRACE_SECONDS)
    socket.send_fds(server, [REQUEST.dump_json(request)], [file.fileno()])
    answer = server.recv(STATUS.size, socket.MSG_WAITALL)
    return int(STATUS.unpack(answer)[0]) if len(answer) == STATUS.size else None


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
