"""The explorer: a page that shows models to people.

It is made of static files: `index.html`, into which the style sheets are put, and JavaScript modules, which are served as they
are and read everything through the API with the JavaScript client (`client/`, which is `clients/js`).
"""

import base64
import gzip
import hashlib
import json
import string
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from layerscope.demo import samples
from layerscope.render import lookup_table

PALETTES = ("viridis", "magma", "inferno", "cividis", "gray", "turbo", "vik", "RdBu_r", "PiYG")
"""The colormaps that the page draws with by itself; those from `vik` on are diverging."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of pages: all they use comes from the service itself, and no script stands in them."""

_DOCS = "docs/"
_STYLES = ("base.css", "page.css", "views.css", "narrow.css")
_LEVELS = 256


@dataclass(frozen=True)
class ExplorerFile:
    """A file of the page: its bytes, as they are and compressed by gzip."""

    content: bytes
    media_type: str

    @property
    def compressed(self) -> bytes:
        """The same, compressed."""
        return _compressed(self.content)


@cache
def explorer_files() -> dict[str, ExplorerFile]:
    """Every module, by its path from the page."""
    return {
        path: ExplorerFile(file.read_bytes(), "text/javascript")
        for path, file in _modules(files(__name__), "")
        if not path.startswith(_DOCS)
    }


@cache
def revision() -> str:
    """A name of all those files together, which changes when any of them does."""
    digest = hashlib.sha256()
    for path, file in sorted(explorer_files().items()):
        digest.update(path.encode() + b"\0" + hashlib.sha256(file.content).digest())
    return digest.hexdigest()[:12]


@cache
def page() -> ExplorerFile:
    """The page itself: its files under their revision, and what is drawn without asking, as JSON."""
    template = string.Template(files(__name__).joinpath("index.html").read_text("utf-8"))
    text = template.substitute(files=revision(), style=_style(), shipped=json.dumps(_shipped()))
    return ExplorerFile(text.encode(), "text/html")


@cache
def page_policy() -> str:
    """The Content-Security-Policy of the page, whose style sheets stand in it."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return PAGE_POLICY.replace("style-src 'self'", f"style-src 'sha256-{digest}'")


def _style() -> str:
    return "\n".join(files(__name__).joinpath(name).read_text("utf-8") for name in _STYLES)


def _shipped() -> dict[str, object]:
    """The sample images by name, and the palettes as 256 times red, green and blue; all in base 64."""
    return {
        "samples": [
            {"name": name, "id": f"sha256-{hashlib.sha256(data).hexdigest()}", "png": _text(data)}
            for name, path in samples().items()
            for data in [path.read_bytes()]
        ],
        "palettes": {name: _text(lookup_table(name, _LEVELS).tobytes()) for name in PALETTES},
    }


def _modules(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _modules(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".js"):
            yield prefix + entry.name, entry


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@cache
def _compressed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
