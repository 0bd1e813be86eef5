"""The commands `layerscope models …`: what a person wants to know of a model file before it is served."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from layerscope.errors import ModelRefused, UnsupportedFormat
from layerscope.models.acceptance import InputReport, Report, check
from layerscope_api.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Look at model files before they are served.")

_errors = Console(stderr=True)


@app.callback()
def _models() -> None:
    """Look at model files before they are served."""


@app.command("check")
def check_file(
    file: Annotated[Path, typer.Argument(exists=True, help="a .keras, .h5 or .hdf5 file")],
) -> None:
    """Say whether a model file is data that can be accepted from a stranger, and why not.

    Nothing of it is run, and neither Keras nor TensorFlow sees it. Exit code 0 means yes, 1 means no.
    """
    try:
        with _errors.status(f"Checking {escape(file.name)} …"):
            report = check(file, Settings().limits)
    except (ModelRefused, UnsupportedFormat) as error:
        _errors.print(f"[red]Refused[/red] [bold]{error.code}[/bold]", highlight=False)
        _errors.print(escape(error.message), highlight=False)
        raise typer.Exit(1) from error
    _print(file, report)


def _print(file: Path, report: Report) -> None:
    console = Console()
    table = Table(title=f"{escape(file.name)}: accepted", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _rows(report):
        table.add_row(name, escape(value))
    console.print(table)
    for warning in report.warnings:
        console.print(f"[yellow]Warning:[/yellow] {escape(warning)}", highlight=False)


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
