"""The settings of commands: those of the environment, and those that the command line gives."""

from typing import Any

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from layerscope_api.context.settings import Settings
from layerscope_api.observability.console import PlainConsole


def read_settings(**given: Any) -> Settings:
    """The settings. A value that is not valid ends the program with a sentence that names it.

    Args:
        given: values by name, in place of those of the environment.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name, reason = "__".join(map(str, first["loc"])), first["msg"]
    except SettingsError as error:
        # Nothing but its text says which: error parsing value for field "places" from source "EnvSettingsSource".
        name, reason = str(error).split('"')[1], "It must be JSON"
    message = f"The setting LAYERSCOPE_{name.upper()} is not valid: {reason}."
    PlainConsole(stderr=True).print(message, style="red")
    raise typer.Exit(2)
