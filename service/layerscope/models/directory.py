"""Find the models in a directory: `DIR/<name>/<version>/model.keras`, or a bare `DIR/<name>.keras` as version 1.

A version's folder without a model file may have a SavedModel, as `model.savedmodel` or itself, as TensorFlow Serving has
it; or a declaration that names an architecture of Keras.
"""

import logging
import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from layerscope.errors import ModelRefused
from layerscope.models.bounds import OpeningBounds
from layerscope.models.manifest import FILE_NAME

logger = logging.getLogger(__name__)

Key = tuple[str, int]
"""A model's name and version."""

SUFFIXES = (".keras", ".h5", ".hdf5")
"""File formats that are opened, by suffix."""

RECORD = "accepted.json"
"""Name of the record beside an uploaded model, which is untrusted; see `models.store`."""

FETCHED = "fetched.json"
"""Name of the record beside a model that was fetched from a remote place; see `models.mirrors`."""

_SAVED_MODEL = "model.savedmodel"
_GRAPH_FILES = frozenset({"saved_model.pb", "saved_model.pbtxt"})

_NAME = re.compile(r"[a-z0-9](?!.*\.\.)[a-z0-9._-]{0,63}")
_VERSION = re.compile(r"[1-9]\d{0,8}")
_RESERVED = "stats"


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that can be loaded: its name and version, its file, and the folder its declaration is in.

    Attributes:
        name: the model.
        version: a number from 1 on.
        path: the model file; a folder for a SavedModel; the declaration itself for an architecture of Keras.
        folder: where the declaration is.
        trusted: whether a SavedModel may be opened, which is a program.
        bounds: for an untrusted model, what opening it may take; it is run once, too.
        root: a directory that no link may lead out of.
        signature: that of a SavedModel to serve, in place of the declared one.
    """

    name: str
    version: int
    path: Path
    folder: Path
    trusted: bool = False
    bounds: OpeningBounds | None = None
    root: Path | None = None
    signature: str | None = None

    @property
    def key(self) -> Key:
        """The name and version."""
        return self.name, self.version


def is_model_name(text: str) -> bool:
    """Whether a model may have this name: `[a-z0-9][a-z0-9._-]{0,63}`, no `..`, not `stats`."""
    return _NAME.fullmatch(text) is not None and text != _RESERVED


def is_version(text: str) -> bool:
    """Whether a folder of this name is that of a version: a number from 1 on."""
    return _VERSION.fullmatch(text) is not None


def find_models(
    directory: Path, *, trusted: bool = False, bounds: OpeningBounds | None = None
) -> list[ModelSource]:
    """Every model in `directory`, by name and version. Other files are ignored.

    Of several files for one version, the one in a version's folder counts, and of bare files the one whose suffix
    comes first in `SUFFIXES`. A version that is not a regular file, or cannot be read, is found too: loading it fails with the
    reason.

    Args:
        directory: where the models are.
        trusted: whether SavedModels may be opened, which are programs.
        bounds: what opening an untrusted model may take.
    """
    found: dict[Key, ModelSource] = {}
    for source in [*_versioned(directory), *_bare_files(directory), *_closed(directory)]:
        kept = found.setdefault(source.key, source)
        if kept is not source:
            logger.warning("%s is passed over: %s is that version too", source.path.name, kept.path.name)
    return [
        replace(
            source,
            trusted=trusted,
            bounds=bounds if os.path.lexists(source.folder / RECORD) else None,
            root=directory,
        )
        for _, source in sorted(found.items())
    ]


def require_readable(source: ModelSource) -> None:
    """Check the files that a model is opened from: opening a pipe, for example, would wait forever.

    Raises:
        ModelRefused: its file, its folder or its declaration is neither a file nor a folder, may not be read, or leads out
            of the `root`.
    """
    besides = (source.folder, source.folder / FILE_NAME)
    for path in (source.path, *(each for each in besides if os.path.lexists(each))):
        _require_readable(path, source.root)


def _require_readable(path: Path, root: Path | None) -> None:
    closed = ModelRefused(f"{path.name} may not be read: give the service's user the right to.")
    nothing = ModelRefused(f"{path.name} is no file: it leads nowhere, or is a pipe or a device.")
    try:
        mode = path.stat().st_mode
    except PermissionError as error:
        raise closed from error
    except OSError as error:
        raise nothing from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise nothing
    if root is not None and not path.resolve().is_relative_to(root.resolve()):
        raise ModelRefused(
            f"{path.name} is a link that leads out of the model directory: copy the file there."
        )
    if not os.access(path, os.R_OK | (os.X_OK if stat.S_ISDIR(mode) else 0)):
        raise closed


def _bare_files(directory: Path) -> Iterator[ModelSource]:
    files = [path for path in directory.iterdir() if path.suffix in SUFFIXES and not is_folder(path)]
    for path in sorted(files, key=lambda path: SUFFIXES.index(path.suffix)):
        if is_model_name(path.stem):
            yield ModelSource(path.stem, 1, path, directory / path.stem)


def _versioned(directory: Path) -> Iterator[ModelSource]:
    for folder in model_folders(directory):
        for version in entries_of(folder) or []:
            files = _followed(version)
            path = _model_in(files)
            if is_version(version.name) and path is not None:
                yield ModelSource(folder.name, int(version.name), path, files)


def model_among(names: Collection[str]) -> str | None:
    """Which name in a version's folder is the model: the file, else the SavedModel, else the declaration; `.` is the folder."""
    found = [f"model{suffix}" for suffix in SUFFIXES if f"model{suffix}" in names]
    if _SAVED_MODEL in names:
        found.append(_SAVED_MODEL)
    if not _GRAPH_FILES.isdisjoint(names):
        found.append(".")
    if FILE_NAME in names:
        found.append(FILE_NAME)
    return found[0] if found else None


def _closed(directory: Path) -> Iterator[ModelSource]:
    """Folders of models that may not be listed, each as version 1, so that loading it fails with the reason."""
    for folder in model_folders(directory):
        if entries_of(folder) is None:
            yield ModelSource(folder.name, 1, folder, folder)


def model_folders(directory: Path) -> list[Path]:
    """The folders that have the name of a model."""
    return [each for each in directory.iterdir() if is_model_name(each.name) and is_folder(each)]


def _followed(version: Path) -> Path:
    """The folder that a version links to now. A mirror may replace the link at any time, and the files must not mix."""
    with suppress(OSError):
        return Path(os.path.realpath(version)) if version.is_symlink() else version
    return version


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; not if a link leads where this process may not look."""
    with suppress(OSError):
        return path.is_dir()
    return False


def _model_in(folder: Path) -> Path | None:
    entries = entries_of(folder)
    # A folder that may not be listed counts as a model: loading it fails with the reason.
    name = "." if entries is None else model_among([path.name for path in entries])
    return _nested(entries or []) if name is None else folder / name


def _nested(entries: Collection[Path]) -> Path | None:
    """The only folder among these that is a SavedModel: some programs give it a name of its own."""
    found = [each for each in entries if any(os.path.lexists(each / name) for name in sorted(_GRAPH_FILES))]
    return found[0] if len(found) == 1 else None


def entries_of(folder: Path) -> list[Path] | None:
    """The content of a folder, empty for what is not a folder; None if it may not be listed."""
    try:
        return list(folder.iterdir())
    except PermissionError:
        return None
    except OSError:
        return []
