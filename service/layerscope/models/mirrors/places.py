"""What a place must tell, so that its models can be mirrored, and which of its files are versions of models."""

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
"""What a service notes beside models: that of another one does not count here."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that can be fetched.

    Attributes:
        address: where it is, as its place understands it.
        size: in bytes; None if only fetching it tells.
        tag: another one if the content is another one; None if the place has none, and the file is fetched each time.
    """

    address: str
    size: int | None
    tag: str | None


Files = Mapping[str, File]
"""By path, with slashes, from the top of what is listed."""


class Place(Protocol):
    """Somewhere that models lie."""

    @property
    def name(self) -> str:
        """What to call it, without secrets."""

    def versions(self) -> Mapping[Key, Files]:
        """All that is there.

        Raises:
            SourceUnreachable: it cannot be read.
        """

    def read(self, file: File) -> Iterator[bytes]:
        """The content of a file, in pieces.

        Raises:
            FileNotFoundError: it is gone meanwhile.
            SourceUnreachable: it cannot be read.
        """


def versions_among(files: Files) -> dict[Key, Files]:
    """The versions among files that lie as in a directory of models, see `models.directory`.

    A bare file is version 1, together with what lies in the folder of its name.
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
    """The names at the top."""
    return {PurePosixPath(path).parts[0] for path in files}


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Whatever a driver raises means that a place cannot be read, but for a file that is not there.

    Raises:
        SourceUnreachable: it cannot.
    """
    try:
        yield
    except (LayerscopeError, FileNotFoundError):
        raise
    except Exception as error:
        logger.warning("%s cannot be read", name, exc_info=True)
        raise SourceUnreachable(f"{name} cannot be read: {type(error).__name__}, see the log.") from error
