"""The application on a socket of its own, for clients that bring their own connections."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI

from layerscope_api.context.settings import Settings
from layerscope_api.server.process import Server


@contextmanager
def served(app: FastAPI, settings: Settings) -> Iterator[str]:
    """Serve from a thread of this process, and give `host:port`."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = Server(app, settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    host, port = listener.getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
