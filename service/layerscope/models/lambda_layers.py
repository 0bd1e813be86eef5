"""Lambda layers whose code is part of a model file."""

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py

from layerscope.models.validation.archive import CONFIG

_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile)


def lambda_layers(path: Path) -> list[str]:
    """The names of the Lambda layers whose code is in a `.keras`, `.h5` or `.hdf5` file, in order.

    An empty list if the file cannot be read.
    """
    try:
        waiting = [_configuration(path)]
    except _UNREADABLE:
        return []
    found: dict[str, None] = {}
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            config = node.get("config")
            if (
                node.get("class_name") == "Lambda"
                and isinstance(config, dict)
                and _is_code(config.get("function"))
            ):
                found[str(config.get("name"))] = None
            waiting += reversed(node.values())
        elif isinstance(node, list):
            waiting += reversed(node)
    return list(found)


def _configuration(path: Path) -> Any:
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(CONFIG))
    with h5py.File(path, "r") as file:
        return json.loads(file.attrs["model_config"])


def _is_code(function: Any) -> bool:
    """Whether a function is written as code, and not as the name of one. Keras 2 writes a list into HDF5 files."""
    return isinstance(function, list) or (
        isinstance(function, dict) and function.get("class_name") == "__lambda__"
    )
