"""The commands `layerscope keys …`: make, list and revoke API keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from layerscope_api.cli.tables import print_rows
from layerscope_api.context.api_keys import Key, KeyFile, KeyScope, KeysUnreadable
from layerscope_api.observability.console import PlainConsole

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")

_console = PlainConsole(stderr=True)

_File = Annotated[
    Path,
    typer.Option(
        "--api-keys",
        envvar="LAYERSCOPE_API_KEYS",
        dir_okay=False,
        help="the file of keys, as for serve",
    ),
]


@app.command()
def create(
    api_keys: _File,
    scope: Annotated[
        list[KeyScope] | None, typer.Option(help="what the key may do; may be repeated [default: infer]")
    ] = None,
    label: Annotated[str, typer.Option(help="whose it is, or what for")] = "",
    days: Annotated[int | None, typer.Option(min=1, help="how long it holds; forever if left out")] = None,
) -> None:
    """Make a key and print it. It is shown this once; the file holds its hash."""
    lifetime = None if days is None else timedelta(days=days)
    with _friendly_errors():
        key, token = KeyFile(api_keys).create(label, scope or [KeyScope.INFER], lifetime)
    typer.echo(token)
    _console.print(f"Key {key.id} may {', '.join(sorted(key.scopes))}. Keep it: it is shown only now.")


@app.command(name="list")
def list_keys(
    api_keys: _File,
    as_json: Annotated[bool, typer.Option("--json", help="print a list of objects")] = False,
) -> None:
    """List the keys, without the keys themselves."""
    with _friendly_errors():
        keys = KeyFile(api_keys).read()
    rows = [
        {
            "id": key.id,
            "label": key.label,
            "scopes": " ".join(sorted(key.scopes)),
            "created": f"{key.created:%Y-%m-%d}",
            "expires": _expiry(key),
        }
        for key in keys
    ]
    print_rows(rows, whole="id", as_json=as_json)


def _expiry(key: Key) -> str:
    if key.expires is None:
        return "never"
    return f"{key.expires:%Y-%m-%d}{' (expired)' if key.has_expired else ''}"


@app.command()
def revoke(api_keys: _File, key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Remove a key. A running service lets nobody in with it any more."""
    with _friendly_errors():
        was_there = KeyFile(api_keys).revoke(key_id)
    if not was_there:
        _console.print(f"There is no key {key_id!r} in {api_keys}.", style="red")
        raise typer.Exit(1)


@contextmanager
def _friendly_errors() -> Iterator[None]:
    try:
        yield
    except (KeysUnreadable, OSError) as error:
        message = str(error) if isinstance(error, KeysUnreadable) else f"{error.strerror}: {error.filename}"
        _console.print(message, style="red")
        raise typer.Exit(1) from error
