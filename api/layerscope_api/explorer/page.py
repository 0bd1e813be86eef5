"""The page of the explorer, and the Content-Security-Policy of pages."""

import base64
import hashlib
import json
import string
from functools import cache
from pathlib import Path

from layerscope.demo import photos, samples
from layerscope.images.preprocessing import Preprocessing
from layerscope.images.presets import PRESETS
from layerscope.render import lookup_table
from layerscope_api.explorer.files import PACKAGE, ExplorerFile, revision

PALETTES = ("viridis", "magma", "inferno", "cividis", "gray", "turbo", "vik", "RdBu_r", "PiYG")
"""The colormaps with which the page draws maps in the browser; those from `vik` on are diverging."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of pages: pages load files of the service only, and contain no inline scripts."""

_STYLES = (
    "base.css",
    "page.css",
    "layers.css",
    "views.css",
    "effects.css",
    "charts.css",
    "graph.css",
    "narrow.css",
)
_LEVELS = 256


@cache
def page() -> ExplorerFile:
    """The page. It names the modules under their revision, and contains the samples and palettes as JSON."""
    template = string.Template(PACKAGE.joinpath("index.html").read_text("utf-8"))
    text = template.substitute(files=revision(), style=_style(), shipped=json.dumps(_shipped()))
    return ExplorerFile(text.encode(), "text/html")


@cache
def page_policy() -> str:
    """The Content-Security-Policy of the page: it allows the inline style sheet by its digest."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return PAGE_POLICY.replace("style-src 'self'", f"style-src 'sha256-{digest}'")


def _style() -> str:
    return "\n".join(PACKAGE.joinpath(name).read_text("utf-8") for name in _STYLES)


def _shipped() -> dict[str, object]:
    """The sample images, the presets of preprocessing, and each palette as 256 times red, green and blue in base64.

    The digits are so small that they are in the page, in base64; photographs have the path of their file.
    """
    digits = [
        _sample(name, path, "digits") | {"png": _text(path.read_bytes())} for name, path in samples().items()
    ]
    pictures = [
        _sample(name, path, "photos") | {"path": f"{revision()}/samples/{path.name}"}
        for name, path in photos().items()
    ]
    return {
        "samples": digits + pictures,
        "presets": {
            name: Preprocessing.preset(name).model_dump(include={"color", "scale", "offset"})
            for name in PRESETS
        },
        "palettes": {name: _text(lookup_table(name, _LEVELS).tobytes()) for name in PALETTES},
    }


def _sample(name: str, path: Path, kind: str) -> dict[str, str]:
    return {"name": name, "kind": kind, "id": f"sha256-{hashlib.sha256(path.read_bytes()).hexdigest()}"}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
