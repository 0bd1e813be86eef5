"""Tables of the command line: drawn for people at a terminal, and plain lines or JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence

import typer
from rich.table import Table

from layerscope_api.observability.console import PlainConsole
from layerscope_api.observability.printable import printable

Row = Mapping[str, object]


def print_rows(rows: Sequence[Row], *, whole: str, title: str | None = None, as_json: bool = False) -> None:
    """Print rows that have the same columns.

    Args:
        rows: the values by column.
        whole: the column whose texts are never broken in two lines.
        title: stands above a table; a program gets it on the standard error.
        as_json: whether a list of objects is printed instead. Otherwise a terminal gets a table, and a program one line for
            each row, with tabs between the columns.
    """
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False, default=str))
        return
    if not sys.stdout.isatty():
        if title:
            typer.echo(printable(title), err=True)
        for row in rows:
            typer.echo("\t".join(printable(_text(value)) for value in row.values()))
        return
    table = Table(title=title)
    for name in rows[0] if rows else ():
        table.add_column(name, no_wrap=name == whole, overflow="ignore" if name == whole else "fold")
    for row in rows:
        table.add_row(*map(_text, row.values()))
    console = PlainConsole()
    # A name may be longer than the terminal: then its line is, rather than the name cut.
    longest = max((len(_text(row[whole])) for row in rows), default=0)
    console.width = max(console.width, longest + 60)
    console.print(table)


def _text(value: object) -> str:
    if isinstance(value, list):
        return "x".join("?" if size is None else str(size) for size in value)
    return "" if value is None else str(value)
