"""The version of Keras that wrote a model file."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import h5py

_METADATA = "metadata.json"
_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})")
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
)

Version = tuple[int, int]


def is_of_keras_2(path: Path) -> bool:
    """Whether Keras 2 or 1 wrote a `.keras`, `.h5` or `.hdf5` file.

    The file says which version wrote it. Files that other programs wrote may not: then the configuration tells, in which
    an input has a `batch_shape` since Keras 3. A file that cannot be read is left to Keras 3 to refuse.
    """
    try:
        version, config = _archived(path) if path.suffix == ".keras" else _stored(path)
    except _UNREADABLE:
        return False
    return is_keras_2(version, config)


def is_keras_2(version: str, config: str) -> bool:
    """Whether a file with this version and this configuration is of Keras 2 or 1."""
    known = parse_version(version)
    return known < (3, 0) if known else bool(config) and '"batch_shape"' not in config


def archive_version(path: Path) -> Version:
    """The version that wrote a `.keras` file, which says so."""
    return parse_version(_archived(path)[0]) or (0, 0)


def parse_version(text: str) -> Version | None:
    """The first two numbers of a version."""
    match = _VERSION.match(text)
    return (int(match[1]), int(match[2])) if match else None


def _archived(path: Path) -> tuple[str, str]:
    with zipfile.ZipFile(path) as file:
        return str(json.loads(file.read(_METADATA))["keras_version"]), ""


def _stored(path: Path) -> tuple[str, str]:
    with h5py.File(path, "r") as file:
        return _text(file, "keras_version"), _text(file, "model_config")


def _text(file: Any, name: str) -> str:
    value = file.attrs.get(name, "")
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
