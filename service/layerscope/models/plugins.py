"""Plugins: Python files of an operator that define the classes and functions of a model."""

import importlib.util
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from layerscope.errors import ModelRefused

logger = logging.getLogger(__name__)


def plugin_files(folder: Path, names: Iterable[str]) -> list[Path]:
    """The plugins that a declaration in `folder` names.

    Raises:
        ModelRefused: one is not in the folder.
    """
    return [_beside(folder, name) for name in names]


def _beside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if folder.resolve() not in path.parents:
        raise ModelRefused("A plugin must be a file in the model's own folder.", plugin=name)
    return path


def run_plugins(paths: Sequence[Path]) -> dict[str, Any]:
    """Run plugins: the classes and functions that they define, by name.

    Raises:
        ModelRefused: one is not there, or fails.
    """
    known: dict[str, Any] = {}
    for path in paths:
        known |= _run(path)
    return known


def _run(path: Path) -> dict[str, Any]:
    name = f"layerscope_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ModelRefused(f"The plugin {path.name} is not a Python file beside the model.", plugin=path.name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        logger.warning("plugin %s failed", path.name, exc_info=True)
        raise _failure(path, error) from error
    return {key: value for key, value in vars(module).items() if getattr(value, "__module__", None) == name}


def _failure(path: Path, error: BaseException) -> ModelRefused:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return ModelRefused(
            f"The plugin {path.name} needs the Python module {error.name!r}, which is not installed: install it beside"
            " Layerscope.",
            plugin=path.name,
            module=error.name,
        )
    at = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
    return ModelRefused(
        f"The plugin {path.name} raised {type(error).__name__}{at}: see the log.", plugin=path.name
    )
