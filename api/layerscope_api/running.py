"""Run the application: load with progress, say where it is, serve until interrupted."""

import socket
from contextlib import suppress
from pathlib import Path

import uvicorn
from rich.console import Console

from layerscope import demo
from layerscope.execution.engine import LocalEngine
from layerscope.graph.loading import SHARED_LOADER
from layerscope.graph.model import LoadedModel
from layerscope.models.registry import Entry
from layerscope_api.app import create_app, local_engine
from layerscope_api.settings import Settings


def run(settings: Settings, console: Console) -> None:
    """Load the models and serve them. Returns when the process is told to stop."""
    # First of all: with no thread, socket or session there yet, it need not import TensorFlow again.
    SHARED_LOADER.start()
    listener = _listen(settings)
    engine = local_engine(settings)
    try:
        with console.status("Loading models …"):
            engine.load_all(lambda entry: _report(entry, console))
        _greet(settings.host, listener.getsockname()[1], engine, console)
        config = uvicorn.Config(create_app(settings, engine), http="h11", log_level="warning")
        with suppress(KeyboardInterrupt):  # uvicorn has ended in good order, and then raises it once more
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        engine.close()
        listener.close()


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    # asyncio sets this only on sockets it made itself; without it each answer waits 40 ms for a delayed ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _report(entry: Entry[LoadedModel], console: Console) -> None:
    name = f"{entry.source.name}@{entry.source.version}"
    if entry.model is None:
        console.print(f"[red]✗[/red] {name}: {entry.reason}", highlight=False)
    else:
        layers = len(entry.model.description.taps.calls)
        console.print(f"[green]✓[/green] {name}: {layers} layers", highlight=False)


def _greet(host: str, port: int, engine: LocalEngine, console: Console) -> None:
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    console.print(
        f"\nLayerscope serves on [bold]{address}[/bold] (contract: {address}/docs)", highlight=False
    )
    ready = [entry for entry in engine.catalogue() if entry.model is not None]
    if ready and ready[0].model is not None:
        sample, name = demo.samples()["seven"], ready[0].source.name
        console.print(f"Try it:\n\n{_curl(address, name, sample)}\n", highlight=False, soft_wrap=True)


def _curl(address: str, model: str, sample: Path) -> str:
    url = f"{address}/v1/models/{model}/predictions?top=3"
    return f"  curl --data-binary @{sample} -H 'Content-Type: image/png' '{url}'"
