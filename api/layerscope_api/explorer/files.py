"""The JavaScript modules and sample photographs of the explorer, and the revision under which browsers may keep them."""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from layerscope.demo import photos

PACKAGE = files("layerscope_api.explorer")

_DOCS = "docs/"


@dataclass(frozen=True)
class ExplorerFile:
    """A file of the explorer: its bytes and its media type."""

    content: bytes
    media_type: str

    @property
    def compressed(self) -> bytes:
        """The bytes, compressed by gzip."""
        return _compressed(self.content)


@cache
def explorer_files() -> dict[str, ExplorerFile]:
    """Every module and photograph, by its path relative to the page."""
    pictures = {
        f"samples/{path.name}": ExplorerFile(path.read_bytes(), "image/jpeg") for path in photos().values()
    }
    return pictures | {
        path: ExplorerFile(file.read_bytes(), "text/javascript")
        for path, file in _modules(PACKAGE, "")
        if not path.startswith(_DOCS)
    }


@cache
def revision() -> str:
    """A digest of all files: it changes when one of them changes."""
    digest = hashlib.sha256()
    for path, file in sorted(explorer_files().items()):
        digest.update(path.encode() + b"\0" + hashlib.sha256(file.content).digest())
    return digest.hexdigest()[:12]


def _modules(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _modules(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".js"):
            yield prefix + entry.name, entry


@cache
def _compressed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
