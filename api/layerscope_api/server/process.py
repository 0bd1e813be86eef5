"""The process that serves: it answers probes at once, loads the models meanwhile, and drains before it ends."""

import asyncio
import functools
import gc
import logging
import os
import shlex
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI
from rich.text import Text

from layerscope import demo
from layerscope.execution.interface import ModelRecord
from layerscope.execution.local_engine import LocalEngine
from layerscope.graph.loading.loader import SHARED_LOADER
from layerscope.graph.remote.run_process import SHARED_RUN_PROCESS
from layerscope_api.context.network_mounts import network_warnings
from layerscope_api.context.service import lifecycle_of
from layerscope_api.context.settings import Settings
from layerscope_api.context.shared_state import SharedState
from layerscope_api.observability.console import PlainConsole
from layerscope_api.observability.logs import configure_logs
from layerscope_api.server.app import create_app, local_engine
from layerscope_api.server.connections import Connections, ExceptionHandler
from layerscope_api.server.http11 import BoundedProtocol
from layerscope_api.server.large_bodies import LargeBodies
from layerscope_api.server.listening import BACKLOG

logger = logging.getLogger(__name__)

_LAST_SECONDS = 1

_ACCEPTED_AT_ONCE = 16
"""How many connections are accepted before the loop goes on, and those that are too many are closed."""


def run(
    settings: Settings,
    console: PlainConsole,
    listener: socket.socket,
    shared: SharedState | None = None,
) -> None:
    """Serve, and load the models meanwhile. Returns when a signal ends the process.

    Args:
        settings: how the service is set up.
        console: where to print the loaded models and the address.
        listener: the socket to accept connections from.
        shared: the state shared with other workers that accept from the same socket. A worker answers once it has loaded
            its models, except for the first, which until then answers probes with "not ready".
    """
    # A full collection would look at 400,000 objects of TensorFlow and Keras each time, and stop all threads for 0.4 s.
    gc.freeze()
    # Before any thread, socket or session exists: both can be forked then, and need not import TensorFlow again.
    SHARED_LOADER.start()
    SHARED_RUN_PROCESS.start()
    if shared is not None:
        shared.sync.start()
    configure_logs(settings.log_format)
    if shared is None or shared.sync.is_leader:
        for warning in network_warnings(settings):
            logger.warning(warning)
    engine = local_engine(settings, shared)
    app = create_app(settings, engine, shared)
    server = _LastServer(app, settings) if shared is None else _Worker(app, settings, engine)
    is_late = shared is not None and shared.is_late
    with (
        listener,
        _loading(engine, server, console, _address(settings.host, listener), at_once=is_late),
        suppress(KeyboardInterrupt),  # uvicorn has ended in good order, and then raises it once more
    ):
        server.run(sockets=[listener])


class Server(uvicorn.Server):
    """A server that first reports that it is not ready, then stops accepting, and finishes the requests in flight.

    Args:
        app: what it serves.
        settings: `drain_seconds` and `grace_seconds` count from SIGTERM on.
    """

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        connections = Connections(settings.limits.connections)
        protocol = functools.partial(
            BoundedProtocol, settings.limits, connections, LargeBodies(), settings.cors_origins
        )
        config = uvicorn.Config(
            app,
            http=protocol,  # type: ignore[arg-type]  # called like the class
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=_ACCEPTED_AT_ONCE,
            timeout_graceful_shutdown=settings.grace_seconds,
        )
        super().__init__(config)
        self._lifecycle = lifecycle_of(app)
        self._drain_seconds = settings.drain_seconds
        self._draining_since = 0.0
        self._grace_seconds = settings.grace_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept."""
        asyncio.get_running_loop().set_exception_handler(ExceptionHandler())
        await super().startup(sockets)
        for listener in sockets or []:
            # asyncio has one number for what it accepts at once and for what the system keeps.
            listener.listen(BACKLOG)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM drains; another signal, or a second one, ends at once."""
        if sig == signal.SIGTERM and not self._lifecycle.is_draining:
            self._draining_since = time.monotonic()
            self._lifecycle.is_draining = True
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop accepting."""
        is_draining = self._lifecycle.is_draining
        if is_draining and time.monotonic() - self._draining_since >= self._drain_seconds:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the requests in flight."""
        self._lifecycle.is_draining = True
        await super().shutdown(sockets)


class _LastServer(Server):
    """A server whose process ends within its grace time, even if a run of a model goes on that cannot be interrupted."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        last = threading.Timer(self._grace_seconds + _LAST_SECONDS, _give_up)
        last.daemon = True
        last.start()
        await super().shutdown(sockets)


class _Worker(_LastServer):
    """A server that ends with a run that cannot be ended otherwise: the supervisor starts another in its place."""

    def __init__(self, app: FastAPI, settings: Settings, engine: LocalEngine) -> None:
        super().__init__(app, settings)
        self._engine = engine

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop accepting."""
        if self._engine.is_stuck and not self.should_exit:
            logger.error("a run of a model cannot be ended: this worker ends, and is started again")
            self.should_exit = True
        return await super().on_tick(counter)


def _give_up() -> None:
    logger.error("work in flight did not finish within its grace: it is lost")
    os._exit(1)


@contextmanager
def _loading(
    engine: LocalEngine, server: uvicorn.Server, console: PlainConsole, address: str, *, at_once: bool
) -> Iterator[None]:
    """Load the models in a thread, and close the engine at the end of the block. A failure ends the server, and is raised.

    With `at_once`, the block begins when the models are loaded.
    """
    failures: list[BaseException] = []

    def load() -> None:
        try:
            with console.status("Loading models …"):
                engine.load_all(lambda record: _report(record, console))
            # The same for what models consist of in Python: a collection stops all threads while it looks at that. Of a model
            # that is unloaded later, some of it stays.
            gc.collect()
            gc.freeze()
        except BaseException as error:
            failures.append(error)
            server.should_exit = True
        else:
            if engine.is_ready:
                _greet(address, engine, console)

    thread = threading.Thread(target=load, name="layerscope-loading")
    thread.start()
    if at_once:
        thread.join()
    try:
        _raise_any(failures)
        yield
    finally:
        engine.close()
        thread.join()
    _raise_any(failures)


def _raise_any(failures: list[BaseException]) -> None:
    if failures:
        raise failures[0]


def _address(host: str, listener: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _report(record: ModelRecord, console: PlainConsole) -> None:
    name = f"{record.name}@{record.version}"
    if record.description is None:
        console.print(Text("✗", "red"), f"{name}: {record.reason}")
    else:
        layers = len(record.description.taps.calls)
        console.print(Text("✓", "green"), f"{name}: {layers} layers")


def _greet(address: str, engine: LocalEngine, console: PlainConsole) -> None:
    console.print("\nLayerscope serves on", Text(address, "bold"), soft_wrap=True)
    console.print(f"  explorer: {address}/ui/\n  contract: {address}/docs\n", soft_wrap=True)
    ready = [record for record in engine.catalogue() if record.description is not None]
    # As in the explorer, a model of photographs comes first.
    ready.sort(key=lambda record: not _takes_photographs(record))
    if ready:
        console.print(f"Try it:\n\n{_curl(address, ready[0])}\n", soft_wrap=True)


def _takes_photographs(record: ModelRecord) -> bool:
    inputs = record.description.preprocessing.values() if record.description else ()
    return any(each is not None and each.color != "grey" and not each.assumed for each in inputs)


def _curl(address: str, record: ModelRecord) -> str:
    url = f"{address}/v1/models/{record.name}/predictions?top=3"
    is_photograph = _takes_photographs(record)
    sample = demo.photos()["cup"] if is_photograph else demo.samples()["seven"]
    media_type = "image/jpeg" if is_photograph else "image/png"
    return f"  curl --data-binary {shlex.quote(f'@{sample}')} -H 'Content-Type: {media_type}' '{url}'"
