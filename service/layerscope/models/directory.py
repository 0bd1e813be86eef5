"""Find the models in a directory: `DIR/<name>/<version>/model.keras`, or a bare `DIR/<name>.keras` as version 1.

A version's folder without a model file may have a SavedModel, as `model.savedmodel` or itself, as TensorFlow Serving has
it; or a declaration that names an architecture of Keras.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from layerscope.models.bounds import OpeningBounds
from layerscope.models.manifest import FILE_NAME

logger = logging.getLogger(__name__)

SUFFIXES = (".keras", ".h5", ".hdf5")
"""File formats that are opened, by suffix."""

_SAVED_MODEL = "model.savedmodel"
_GRAPH_FILES = ("saved_model.pb", "saved_model.pbtxt")

_NAME = re.compile(r"[a-z0-9](?!.*\.\.)[a-z0-9._-]{0,63}")
_VERSION = re.compile(r"[1-9]\d{0,8}")
_RESERVED = "stats"


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that can be loaded: its name and version, its file, and the folder its declaration is in.

    The file is the declaration itself for an architecture of Keras, and a folder for a SavedModel. That is a program, and
    is opened only if it is `trusted`. With `bounds`, the model is from a stranger: it is opened within them, and tried.
    """

    name: str
    version: int
    path: Path
    folder: Path
    trusted: bool = False
    bounds: OpeningBounds | None = None


def is_model_name(text: str) -> bool:
    """Whether a model may have this name: `[a-z0-9][a-z0-9._-]{0,63}`, no `..`, not `stats`."""
    return _NAME.fullmatch(text) is not None and text != _RESERVED


def find_models(directory: Path, *, trusted: bool = False) -> list[ModelSource]:
    """Every model in `directory`, by name and version. What does not look like one is passed over.

    Of several files for one version, the one in a version's folder counts, and of bare files the one whose suffix
    comes first in `SUFFIXES`.

    Args:
        directory: where the models are.
        trusted: whether to trust whoever made them.
    """
    found: dict[tuple[str, int], ModelSource] = {}
    for source in [*_versioned(directory), *_bare_files(directory)]:
        kept = found.setdefault((source.name, source.version), source)
        if kept is not source:
            logger.warning("%s is passed over: %s is that version too", source.path.name, kept.path.name)
    return [replace(found[key], trusted=trusted) for key in sorted(found)]


def _bare_files(directory: Path) -> Iterator[ModelSource]:
    files = [path for path in directory.iterdir() if path.suffix in SUFFIXES and path.is_file()]
    for path in sorted(files, key=lambda path: SUFFIXES.index(path.suffix)):
        if is_model_name(path.stem):
            yield ModelSource(path.stem, 1, path, directory / path.stem)


def _versioned(directory: Path) -> Iterator[ModelSource]:
    for folder in directory.iterdir():
        if not folder.is_dir() or not is_model_name(folder.name):
            continue
        for version in folder.iterdir():
            path = _model_in(version)
            if _VERSION.fullmatch(version.name) and path is not None:
                yield ModelSource(folder.name, int(version.name), path, version)


def _model_in(folder: Path) -> Path | None:
    """The model file in a version's folder, else the SavedModel, else the declaration."""
    found = [path for suffix in SUFFIXES if (path := folder / f"model{suffix}").is_file()]
    if (folder / _SAVED_MODEL).is_dir():
        found.append(folder / _SAVED_MODEL)
    if any((folder / name).is_file() for name in _GRAPH_FILES):
        found.append(folder)
    if (folder / FILE_NAME).is_file():
        found.append(folder / FILE_NAME)
    return found[0] if found else None
