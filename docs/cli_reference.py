"""The page `reference/cli.md`: every command and option, from the program itself."""

from collections.abc import Iterator

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from layerscope_api.cli.app import app


def page() -> Iterator[str]:
    """Lines of the page."""
    yield "# Command line\n"
    yield "`layerscope` is in `.venv/bin` after `make`. `--help` behind any command shows the same. The options of `layerscope serve` are"
    yield "[settings](settings.md), too, which environment variables can set.\n"
    command = get_command(app)
    text = get_docs_for_click(
        obj=command, ctx=typer.Context(command, info_name="layerscope"), name="layerscope"
    )
    # Its first heading is the title of a page of its own.
    yield text.partition("\n")[2].strip()
