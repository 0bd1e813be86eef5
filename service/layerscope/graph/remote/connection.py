"""Connection to a run process: starts one, asks it, and ends it."""

import select
import signal
import socket
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from layerscope.errors import LayerscopeError, RunFailed, error_with_code
from layerscope.graph.remote.run_server import END, START, STATUS
from layerscope.graph.remote.wire import CloseModel, Failed, Message, OnWait, OpenModel, receive, send
from layerscope.graph.server_process import ServerProcess

Array = np.ndarray[Any, np.dtype[Any]]

_CHECK_SECONDS = 0.05
"""How often a call that waits for its answer looks whether it may go on waiting."""

_END_SECONDS = 30.0
"""How long the run server may take to end the run process, whose memory the system has to collect."""


class Connection:
    """A run process, and the socket to it. For one thread at a time.

    Args:
        server: forks the process.

    Attributes:
        models: the numbers of the models that the process has open, the least recently used first.
        has_ended: whether the process was ended.

    Raises:
        RunFailed: the run server has ended.
    """

    def __init__(self, server: ServerProcess) -> None:
        self.models: OrderedDict[int, None] = OrderedDict()
        self.has_ended = False
        self._server = server
        self._socket, other = socket.socketpair()
        self._socket.settimeout(_CHECK_SECONDS)
        with other:
            try:
                socket.send_fds(server.socket, [START], [other.fileno()])
            except OSError as error:
                raise _failure(self.end()) from error

    @property
    def is_broken(self) -> bool:
        """Whether the process has ended by itself: it says nothing unasked, so there is only the end of the stream."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def open(self, message: OpenModel, descriptor: int, on_wait: OnWait) -> None:
        """Open a model. Raises as `ask`."""
        self.ask(message, descriptors=[descriptor], on_wait=on_wait)
        self.models[message.model] = None

    def close(self, model: int, on_wait: OnWait) -> None:
        """Close a model. Raises as `ask`."""
        del self.models[model]
        self.ask(CloseModel(model=model), on_wait=on_wait)

    def ask(
        self,
        message: Message,
        arrays: Sequence[Array] = (),
        descriptors: Sequence[int] = (),
        *,
        on_wait: OnWait,
    ) -> list[Array]:
        """Send a message and wait for the answer; its arrays.

        Args:
            message: the message.
            arrays: of the message.
            descriptors: that travel with it.
            on_wait: is called several times a second meanwhile. If it raises an error, the process is ended.

        Raises:
            RunFailed: the process has not survived it.
            LayerscopeError: the error that it answers with.
        """
        try:
            send(self._socket, message, arrays, descriptors, on_wait)
            received = receive(self._socket, on_wait)
        except (EOFError, OSError, ValueError) as error:
            raise _failure(self.end()) from error
        except BaseException:
            self.end()
            raise
        if isinstance(received.message, Failed):
            raise _error(received.message)
        return received.arrays

    def end(self) -> int | None:
        """End the process; its exit status, or minus the number of the signal that had ended it before."""
        self.has_ended = True
        self._socket.close()
        status = b""
        try:
            self._server.socket.settimeout(_END_SECONDS)
            self._server.socket.send(END)
            status = self._server.socket.recv(STATUS.size, socket.MSG_WAITALL)
        except OSError:
            # The run server is gone or was stopped. It is started again with the next process.
            self._server.end()
        return int(STATUS.unpack(status)[0]) if len(status) == STATUS.size else None


def _failure(status: int | None) -> RunFailed:
    if status == -signal.SIGKILL:
        return RunFailed("The run was killed (SIGKILL): it may need more memory than there is.")
    if status is not None and status < 0:
        return RunFailed(
            f"The run crashed its process ({signal.Signals(-status).name}): ask for something else."
        )
    return RunFailed("The process of the run has ended: see the log, and try again.")


def _error(failed: Failed) -> LayerscopeError | RuntimeError:
    if failed.code is None:
        return RuntimeError(f"A run failed in the run process, which has logged it: {failed.message}")
    return error_with_code(failed.code, failed.message, failed.details)
