"""Errors of commands: what is refused is told in a sentence, not by a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from layerscope.errors import LayerscopeError
from layerscope_api.observability.console import PlainConsole


@contextmanager
def friendly_errors() -> Iterator[None]:
    """What is refused inside ends the program with its sentence and the status 1."""
    try:
        yield
    except LayerscopeError as error:
        PlainConsole(stderr=True).print(error.message, style="red")
        raise typer.Exit(1) from error
