"""The commands `layerscope models …`: check a model file, and add it to a directory of models."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from layerscope.errors import LayerscopeError
from layerscope.models.control import Control
from layerscope.models.manifest import Manifest
from layerscope.models.store import require_model_name
from layerscope.models.validation import InputReport, Report, check
from layerscope.start_messages import without_info_messages
from layerscope_api.cli.settings import read_settings
from layerscope_api.observability.console import PlainConsole

app = typer.Typer(no_args_is_help=True, help="Look at model files before they are served.")

_errors = PlainConsole(stderr=True)


@app.callback()
def _models() -> None:
    """Look at model files before they are served."""


@app.command("check")
def check_file(
    file: Annotated[Path, typer.Argument(exists=True, help="a .keras, .h5 or .hdf5 file")],
    only_data: Annotated[
        bool, typer.Option("--only-data", help="do not open it: neither Keras nor TensorFlow sees it")
    ] = False,
) -> None:
    """Say whether a model file can be accepted from a stranger, and why not.

    First it must be data: nothing of it is run. Then a fresh file of the checked parts is opened, in a process that is bounded
    in memory and time. Exit code 0 means yes, 1 means no.
    """
    try:
        with _errors.status(Text(f"Checking {file.name} …")):
            report = check(file, read_settings().limits) if only_data else _tried(file)
    except LayerscopeError as error:
        _refuse(error)
        raise typer.Exit(1) from error
    _print(file, report)


@app.command("add")
def add_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="a .keras, .h5 or .hdf5 file")],
    models: Annotated[Path, typer.Option(file_okay=False, help="the directory of models that is served")],
    name: Annotated[str | None, typer.Option(help="what to call it; the file's own name if left out")] = None,
    declaration: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="a layerscope.json to put beside it, without files or code"
        ),
    ] = None,
) -> None:
    """Check a model file, try it, and put a fresh one of it into a directory of models as its next version.

    It is there whole or not at all, whatever happens meanwhile. The same file again is the version that it was.
    """
    with without_info_messages():
        from layerscope.execution.local_engine import LocalEngine  # noqa: PLC0415 - TensorFlow takes seconds to import

    try:
        with _errors.status(Text(f"Checking {file.name} …")):
            require_model_name(name or file.stem)
            declared = None if declaration is None else Manifest.of_untrusted(declaration.read_text("utf-8"))
            engine = LocalEngine(models, read_settings().limits, control=Control(uploads=True))
            with closing(engine):
                added = engine.models.add(file, name or file.stem, declared, load=False)
    except LayerscopeError as error:
        _refuse(error)
        raise typer.Exit(1) from error
    _print(file, added.report)
    outcome = "is now" if added.is_new else "was already"
    source = added.entry.source
    PlainConsole().print(f"It {outcome} {source.name}@{source.version}.")


def _tried(file: Path) -> Report:
    with without_info_messages():
        from layerscope.graph.loading.trial import try_file  # noqa: PLC0415 - TensorFlow takes seconds to import

    return try_file(file, read_settings().limits)


def _refuse(error: LayerscopeError) -> None:
    _errors.print(Text("Refused", "red"), Text(error.code, "bold"))
    _errors.print(error.message)


def _print(file: Path, report: Report) -> None:
    console = PlainConsole()
    table = Table(title=f"{file.name}: accepted", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _rows(report):
        table.add_row(name, value)
    console.print(table)
    for warning in report.warnings:
        console.print(Text("Warning:", "yellow"), warning)


def _rows(report: Report) -> list[tuple[str, str]]:
    written = f", written by Keras {report.keras_version}" if report.keras_version else ""
    kind = {"keras": ".keras archive", "hdf5": "legacy HDF5"}[report.kind]
    return [
        ("file", f"{kind}{written}"),
        ("model", f"{report.name} ({report.model})"),
        ("inputs", "\n".join(map(_input, report.inputs)) or "not told by the file"),
        ("layers", f"{sum(report.layers.values()):,}: {_counts(report)}"),
        ("parameters", f"{report.parameters:,} in {report.weight_bytes:,} bytes"),
        ("digest", report.digest),
    ]


def _input(each: InputReport) -> str:
    shape = "x".join("?" if side is None else str(side) for side in each.shape)
    return f"{each.name}: {shape} {each.dtype}"


def _counts(report: Report) -> str:
    ordered = sorted(report.layers.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{count:,} {name}" for name, count in ordered)
