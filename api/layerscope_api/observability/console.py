"""The console that people read: it prints names and messages as they are, whatever is in them.

Rich reads `[red]` in a text as markup, raises at `[/x]`, and lets escape sequences of a terminal pass. Names of layers, reasons
and paths come from untrusted files, so no text is markup here: colours are given as `style`.
"""

from typing import Any

from rich.console import Console
from rich.text import Text

from layerscope_api.observability.printable import printable


class PlainConsole(Console):
    """A console without markup, without `:emoji:` and without highlighting.

    Args:
        stderr: whether it prints to the standard error.
        quiet: whether it prints nothing.
    """

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        super().__init__(stderr=stderr, quiet=quiet, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """A text as it is, but for control characters; see `printable`."""
        return super().render_str(printable(text), **options)
