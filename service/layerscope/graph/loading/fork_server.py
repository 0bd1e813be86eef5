"""Fork server: the process that forks a child for each model to open, see `loader` and `wire`.

It runs as a fork of the service, or as `python -m layerscope.graph.loading.fork_server FD`, FD being its socket.
"""

import multiprocessing
import os
import socket
import sys
from multiprocessing.connection import wait
from typing import BinaryIO

import tensorflow as tf

from layerscope.errors import LayerscopeError
from layerscope.graph.loading.plugin_servers import Load, PluginServers
from layerscope.graph.loading.prepare import prepare_into
from layerscope.graph.loading.wire import REQUEST, STATUS, Request
from layerscope.graph.prepared.prepared_model import Refusal, refuse
from layerscope.models.bounds import confine, end_after, end_with

_LONGEST_REQUEST = 65_536
_fork = multiprocessing.get_context("fork")


def serve(service: socket.socket) -> None:
    """Fork a child for each request from the socket, until the other end closes it."""
    # The plugins of a model must not print into the standard output of the service.
    os.dup2(2, 1)
    plugin_servers = PluginServers(_supervised, lambda end: _serve(end, _supervised))
    _serve(service, plugin_servers.load)


def _serve(service: socket.socket, load: Load) -> None:
    while True:
        request, descriptors, _, _ = socket.recv_fds(service, _LONGEST_REQUEST, 1)
        if not request:
            return
        with os.fdopen(descriptors[0], "r+b") as file:
            status = load(service, REQUEST.validate_json(request), file)
        if status is None:
            return
        service.sendall(STATUS.pack(status))


def _supervised(service: socket.socket, request: Request, file: BinaryIO) -> int | None:
    """Load in a child; the exit status of the child, None if the service closed the socket meanwhile."""
    child = _fork.Process(target=_load, args=(service, request, file, os.getpid()))
    child.start()
    # A process that a plugin started may hold the sentinel open for longer than the child lives.
    while child.is_alive():
        if service in wait([service, child.sentinel], timeout=1):
            child.kill()
            return None
    return child.exitcode


def _load(service: socket.socket, request: Request, file: BinaryIO, parent: int) -> None:
    service.close()
    end_with(parent)
    source = request.source
    if source.bounds is None:
        end_after(request.seconds)
    else:
        confine(source.bounds)
    # The service computes on the GPUs, and TensorFlow would take all memory of a GPU here.
    tf.config.set_visible_devices([], "GPU")
    try:
        prepare_into(file, source)
    except LayerscopeError as error:
        refuse(file, Refusal(error.code, error.message, error.details))


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
    # TensorFlow takes two seconds to end in good order.
    os._exit(0)
