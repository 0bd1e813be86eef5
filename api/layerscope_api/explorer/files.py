"""The JavaScript modules and sample photographs of the explorer, and the revision under which browsers may keep them."""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from layerscope.demo import photos
from layerscope_api.explorer.joined import joined_modules

PACKAGE = files("layerscope_api.explorer")

JOINED = "joined.js"
"""The path of the modules that the page needs first, in one file."""

_DOCS = "docs/"
_FIRST = "main.js"


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
    """Every module, the joined ones and every photograph, by its path relative to the page."""
    pictures = {
        f"samples/{path.name}": ExplorerFile(path.read_bytes(), "image/jpeg") for path in photos().values()
    }
    modules = {path: ExplorerFile(text.encode(), "text/javascript") for path, text in _modules().items()}
    text, _ = joined()
    return pictures | modules | {JOINED: ExplorerFile(text.encode(), "text/javascript")}


@cache
def joined() -> tuple[str, list[str]]:
    """The modules that the page needs first in one file, and their paths."""
    return joined_modules(_modules(), _FIRST)


@cache
def revision() -> str:
    """A digest of all files: it changes when one of them changes."""
    digest = hashlib.sha256()
    for path, file in sorted(explorer_files().items()):
        digest.update(path.encode() + b"\0" + hashlib.sha256(file.content).digest())
    return digest.hexdigest()[:12]


@cache
def _modules() -> dict[str, str]:
    return {path: file.read_text("utf-8") for path, file in _found(PACKAGE, "") if not path.startswith(_DOCS)}


def _found(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _found(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".js"):
            yield prefix + entry.name, entry


@cache
def _compressed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
