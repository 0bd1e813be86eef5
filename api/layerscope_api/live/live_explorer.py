"""Explorer of models in memory: a service in a thread of this program, for as long as it is wanted."""

import html
import socket
import threading
import time
import weakref
from typing import Self

from fastapi import FastAPI

from layerscope.execution.local_engine import LocalEngine
from layerscope_api.context.settings import Settings
from layerscope_api.server.process import Server

_FRAME_HEIGHT = 760


class LiveExplorer:
    """A running explorer, which shows itself in a notebook.

    It is closed by `close`, at the end of a `with` block, when nothing refers to it any more, and with the program.

    Attributes:
        address: of its page, on this machine only.

    Args:
        app: the service.
        engine: its models, which are loaded. Closed with it.
        settings: of the service.
        listener: the socket to listen with.
    """

    def __init__(
        self, app: FastAPI, engine: LocalEngine, settings: Settings, listener: socket.socket
    ) -> None:
        host, port = listener.getsockname()[:2]
        self.address = f"http://{host}:{port}/ui/"
        server = Server(app, settings)
        # A daemon: a program that ends does not wait for it.
        self._thread = threading.Thread(
            target=_serve, args=(server, listener, engine), name="layerscope-live", daemon=True
        )
        self._thread.start()
        self._stop = weakref.finalize(self, setattr, server, "should_exit", True)
        while self._thread.is_alive() and not server.started:
            time.sleep(0.005)

    def close(self) -> None:
        """Stop serving, and free the memory of the models. A second call does nothing."""
        self._stop()
        self._thread.join()

    def wait(self) -> None:
        """Serve until the program is interrupted (Ctrl+C), then close: the last line of a script."""
        try:
            while self._thread.is_alive():
                self._thread.join(0.2)
        except KeyboardInterrupt:
            pass
        finally:
            self.close()

    def __enter__(self) -> Self:
        """The explorer, which is closed at the end of the block."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        return f"<LiveExplorer at {self.address}>"

    def _repr_html_(self) -> str:
        """The explorer as a notebook shows it: its page in a frame, below a link to it."""
        address = html.escape(self.address)
        return (
            f'<p><a href="{address}" target="_blank" rel="noopener">{address}</a></p>'
            f'<iframe src="{address}" title="Layerscope" width="100%" height="{_FRAME_HEIGHT}"'
            ' style="border: 1px solid #8888"></iframe>'
        )


def _serve(server: Server, listener: socket.socket, engine: LocalEngine) -> None:
    try:
        with listener:
            server.run(sockets=[listener])
    finally:
        engine.close()
