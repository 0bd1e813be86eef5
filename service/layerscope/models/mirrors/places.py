"""Remote places: what a mirror needs of one, and which of its files are versions of models."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from layerscope.errors import LayerscopeError, SourceUnreachable
from layerscope.models.directory import FETCHED, SUFFIXES, Key, is_model_name, is_version, model_among
from layerscope.models.ledger import LEDGER

logger = logging.getLogger(__name__)

_OWN = frozenset({LEDGER, FETCHED})
"""Files that a service writes beside models. Those of another service are not mirrored."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that can be fetched.

    Attributes:
        address: its address, as the place understands it.
        size: in bytes; None if it is known only once the file is fetched.
        tag: changes with the content; None if the place has no tags: then the file is fetched each time.
    """

    address: str
    size: int | None
    tag: str | None


Files = Mapping[str, File]
"""Files by path, with slashes, relative to the top of the place or version."""


class Place(Protocol):
    """A remote place that has models."""

    @property
    def name(self) -> str:
        """Its name in messages, without secrets."""

    def versions(self) -> Mapping[Key, Files]:
        """All versions with their files.

        Raises:
            SourceUnreachable: it cannot be read.
        """

    def read(self, file: File) -> Iterator[bytes]:
        """The content of a file, in chunks.

        Raises:
            FileNotFoundError: it was deleted since it was listed.
            SourceUnreachable: it cannot be read.
        """


def versions_among(files: Files) -> dict[Key, Files]:
    """The versions among files that have the layout of a directory of models, see `models.directory`.

    A bare file is version 1, together with the files in the folder of its name.
    """
    versions: dict[Key, dict[str, File]] = {}
    beside: dict[str, dict[str, File]] = {}
    for path, file in files.items():
        parts = path.split("/")
        if not is_model_name(parts[0]) or parts[-1] in _OWN or not {"", ".", ".."}.isdisjoint(parts):
            continue
        if len(parts) > 2 and is_version(parts[1]):
            versions.setdefault((parts[0], int(parts[1])), {})["/".join(parts[2:])] = file
        elif len(parts) == 2:
            beside.setdefault(parts[0], {})[parts[1]] = file
    found: dict[Key, Files] = {key: inside for key, inside in versions.items() if model_among(tops(inside))}
    for suffix in SUFFIXES:
        for path, file in files.items():
            stem = path.removesuffix(suffix)
            if stem != path and is_model_name(stem):
                found.setdefault((stem, 1), {**beside.get(stem, {}), f"model{suffix}": file})
    return dict(sorted(found.items()))


def tops(files: Files) -> set[str]:
    """The names of files and folders at the top."""
    return {PurePosixPath(path).parts[0] for path in files}


@contextmanager
def reaching(name: str, verb: str = "read") -> Iterator[None]:
    """Turn every error of a driver into one, except for a missing file.

    Args:
        name: of the place, without secrets.
        verb: what is being done with it: `read` or `written`.

    Raises:
        SourceUnreachable: it cannot be done.
    """
    try:
        yield
    except (LayerscopeError, FileNotFoundError):
        raise
    except Exception as error:
        logger.warning("%s cannot be %s", name, verb, exc_info=True)
        raise SourceUnreachable(f"{name} cannot be {verb}: {type(error).__name__}, see the log.") from error
