"""Plugin servers: fork servers that have run the plugins of a model, so that what these import is imported once.

    fork server ── forks once for each set of plugins ──▶ plugin server ── forks for each model ──▶ child

A plugin may import a large package, which takes longer than the rest of a load. The children run the plugins again, so that
each has classes of its own; what these import is there already. The protocol is that of `wire`, with one answer more: the
first says that the plugins have been run.
"""

import hashlib
import multiprocessing
import os
import signal
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import BinaryIO

from tensorflow.python.eager import context

from layerscope.errors import LayerscopeError
from layerscope.graph.loading.wire import REQUEST, STATUS, Request
from layerscope.models.bounds import end_after, end_with
from layerscope.models.directory import ModelSource, require_readable
from layerscope.models.manifest import Manifest
from layerscope.models.plugins import plugin_files, run_plugins

_fork = multiprocessing.get_context("fork")

_MOST_KEPT = 2
"""The greatest number of plugin servers. Each may hold several hundred megabytes of packages."""


Load = Callable[[socket.socket, Request, BinaryIO], int | None]
"""Loads a model into a file: the exit status of the child, None if the service closed the socket meanwhile."""


@dataclass(frozen=True)
class _PluginServer:
    """A process that has run plugins, and the socket to it."""

    process: BaseProcess
    connection: socket.socket

    def load(self, service: socket.socket, request: Request, file: BinaryIO) -> int | None:
        """Load a model; None if this process or the service has ended."""
        with suppress(OSError):
            socket.send_fds(self.connection, [REQUEST.dump_json(request)], [file.fileno()])
            return self.answer(service)
        return None

    def answer(self, service: socket.socket) -> int | None:
        """The next answer; None if this process or the service has ended."""
        if service in wait([service, self.connection]):
            return None
        data = self.connection.recv(STATUS.size, socket.MSG_WAITALL)
        return int(STATUS.unpack(data)[0]) if len(data) == STATUS.size else None

    def end(self) -> None:
        """End the process, and with it what it loads."""
        self.connection.close()
        self.process.kill()


class PluginServers:
    """The plugin servers of a fork server, by the content of the plugins; the least recently used make way.

    Args:
        load: loads a model in a child of this process.
        serve: answers requests from a socket, in the process that has run the plugins.
    """

    def __init__(self, load: Load, serve: Callable[[socket.socket], None]) -> None:
        self._load = load
        self._serve = serve
        self._kept: OrderedDict[str, _PluginServer | None] = OrderedDict()

    def load(self, service: socket.socket, request: Request, file: BinaryIO) -> int | None:
        """Load a model in a child of the plugin server for its plugins, if there is one.

        There is none for a model without plugins, and for plugins that fail or leave a process that cannot be forked.
        """
        key = _key(request.source)
        server = None if key is None else self._server(key, service, request)
        status = None if server is None else server.load(service, request, file)
        if status is not None:
            return status
        if server is not None and key is not None:
            self._drop(key)
        return None if service in wait([service], timeout=0) else self._load(service, request, file)

    def _server(self, key: str, service: socket.socket, request: Request) -> _PluginServer | None:
        if key not in self._kept:
            self._kept[key] = self._start(service, request)
        self._kept.move_to_end(key)
        while len(self._kept) > _MOST_KEPT:
            self._drop(next(iter(self._kept)))
        return self._kept[key]

    def _start(self, service: socket.socket, request: Request) -> _PluginServer | None:
        own, other = socket.socketpair()
        with other:
            inherited = [service, own, *(each.connection for each in self._kept.values() if each)]
            process = _fork.Process(target=self._run, args=(other, request, inherited, os.getpid()))
            process.start()
        server = _PluginServer(process, own)
        if server.answer(service) == 0:
            return server
        server.end()
        return None

    def _run(
        self, other: socket.socket, request: Request, inherited: Iterable[socket.socket], parent: int
    ) -> None:
        try:
            for each in inherited:
                each.close()
            end_with(parent)
            end_after(request.seconds)
            folder = request.source.folder
            # What fails here fails in the child of a plain load, too, which says why.
            with suppress(LayerscopeError):
                run_plugins(plugin_files(folder, Manifest.read(folder).plugins))
                if threading.active_count() == 1 and context.context_safe() is None:
                    signal.alarm(0)
                    other.sendall(STATUS.pack(0))
                    self._serve(other)
        finally:
            # TensorFlow takes two seconds to end in good order.
            os._exit(0)

    def _drop(self, key: str) -> None:
        server = self._kept.pop(key)
        if server is not None:
            server.end()


def _key(source: ModelSource) -> str | None:
    """What the plugins of a model are: their names and contents. None without any, or where they cannot be read."""
    digest = hashlib.sha256()
    try:
        require_readable(source)
        paths = plugin_files(source.folder, Manifest.read(source.folder).plugins)
        for path in paths:
            digest.update(repr((path.stem, path.read_bytes())).encode())
    except (LayerscopeError, OSError):
        return None
    return digest.hexdigest() if paths else None
