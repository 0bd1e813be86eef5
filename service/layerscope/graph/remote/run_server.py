"""Run server: the process that forks the run process, and forks it again after it was ended.

    service                                run server
      START, with a socket  ──▶             forks a run process, which answers calls from that socket
      END                   ──▶             kills it
      STATUS                ◀──             its exit status, or minus the number of the signal that ended it

There is one run process at a time, and one STATUS for each START. The run server itself never runs a model, so that a fork of
it is a clean process with TensorFlow imported. It ends, with its run process, when the other end of its socket closes.

It runs as a fork of the service, or as `python -m layerscope.graph.remote.run_server FD`, FD being its socket.
"""

import multiprocessing
import os
import socket
import struct
import sys
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path

import tensorflow as tf

from layerscope.graph.remote.called_models import CalledModels
from layerscope.graph.remote.wire import receive, send
from layerscope.models.bounds import end_with

START, END = b"s", b"e"
STATUS = struct.Struct("!i")

_NICENESS = 10
"""How much lower the priority of long runs is: the processors are for short ones first."""

_FIRST_TO_KILL = "1000"
"""Tells the kernel to kill this process before any other when there is no memory left."""

_fork = multiprocessing.get_context("fork")


def serve(service: socket.socket) -> None:
    """Fork a run process for each START, until the other end closes the socket."""
    # Nothing but the service itself writes to its standard output.
    os.dup2(2, 1)
    while True:
        request, descriptors, _, _ = socket.recv_fds(service, 1, 1)
        if not request:
            return
        # An END may come for a run process that has just ended by itself.
        if request == START:
            status = _supervised(service, socket.socket(fileno=descriptors[0]))
            if status is None:
                return
            service.sendall(STATUS.pack(status))


def _supervised(service: socket.socket, calls: socket.socket) -> int | None:
    """Fork a run process; its exit status when it has ended, None if the service closed the socket before."""
    child = _fork.Process(target=_answer, args=(service, calls, os.getpid()))
    child.start()
    calls.close()
    if service in wait([service, child.sentinel]):
        child.kill()
        if not service.recv(len(END)):
            return None
    child.join()
    return child.exitcode


def _answer(service: socket.socket, calls: socket.socket, parent: int) -> None:
    """Be the run process: answer calls until the other end closes their socket."""
    service.close()
    end_with(parent)
    os.nice(_NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_KILL, "ascii")
    # The service computes on the GPUs, and TensorFlow would take all memory of a GPU here.
    tf.config.set_visible_devices([], "GPU")
    models = CalledModels()
    with suppress(EOFError, BrokenPipeError):
        while True:
            answer, arrays = models.answer(receive(calls))
            send(calls, answer, arrays)
    # TensorFlow takes two seconds to end in good order.
    os._exit(0)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
    os._exit(0)
