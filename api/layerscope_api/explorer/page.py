"""The page of the explorer, and the Content-Security-Policy of pages."""

import base64
import hashlib
import json
import string
from collections.abc import Mapping
from functools import cache, cached_property

from layerscope.demo import photos, samples
from layerscope.images.preprocessing import Preprocessing
from layerscope.images.presets import PRESETS
from layerscope.render import lookup_table
from layerscope_api.explorer.files import JOINED, PACKAGE, ExplorerFile, joined, revision

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
    "text.css",
    "arrays.css",
    "data_sets.css",
)
_LEVELS = 256


class Page:
    """The page as one application serves it.

    Args:
        images: image files to choose from, by name, in place of the samples that are shipped.
        framed_by: sources of the Content-Security-Policy of the pages that may show the page in a frame.
        data_sets: whether the service keeps data sets, so that their images can be chosen.
    """

    def __init__(
        self, images: Mapping[str, bytes] | None = None, framed_by: str = "'none'", data_sets: bool = False
    ) -> None:
        self._images = images
        self._framed_by = framed_by
        self._data_sets = data_sets

    @cached_property
    def file(self) -> ExplorerFile:
        """The page. It names the joined modules under their revision, and contains samples, presets and palettes as JSON."""
        template = string.Template(PACKAGE.joinpath("index.html").read_text("utf-8"))
        samples = _shipped_samples() if self._images is None else _given(self._images)
        shipped = {
            "samples": samples,
            "presets": _presets(),
            "palettes": _palettes(),
            "dataSets": self._data_sets,
        }
        text = template.substitute(
            files=revision(), joined=JOINED, style=_style(), imports=_imports(), shipped=_json(shipped)
        )
        return ExplorerFile(text.encode(), "text/html")

    @cached_property
    def policy(self) -> str:
        """The Content-Security-Policy of the page: it allows the inline style sheet and import map by their digests."""
        policy = PAGE_POLICY.replace("style-src 'self'", f"style-src {_digest(_style())}")
        policy = policy.replace("script-src 'self'", f"script-src 'self' {_digest(_imports())}")
        return policy.replace("frame-ancestors 'none'", f"frame-ancestors {self._framed_by}")


def _json(value: object) -> str:
    """JSON that ends no element of HTML, whatever the names in it are."""
    return json.dumps(value).replace("<", "\\u003c")


@cache
def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _imports() -> str:
    """The import map: modules that are loaded later find those that are joined."""
    _, paths = joined()
    return json.dumps({"imports": {f"./{revision()}/{path}": f"./{revision()}/{JOINED}" for path in paths}})


def _style() -> str:
    return "\n".join(PACKAGE.joinpath(name).read_text("utf-8") for name in _STYLES)


@cache
def _presets() -> dict[str, object]:
    return {
        name: Preprocessing.preset(name).model_dump(include={"color", "scale", "offset"}) for name in PRESETS
    }


@cache
def _palettes() -> dict[str, str]:
    """Each palette as 256 times red, green and blue in base64."""
    return {name: _text(lookup_table(name, _LEVELS).tobytes()) for name in PALETTES}


@cache
def _shipped_samples() -> list[dict[str, str]]:
    """The digits are so small that they are in the page, in base64; photographs have the path of their file."""
    digits = {name: path.read_bytes() for name, path in samples().items()}
    pictures = [
        _sample(name, path.read_bytes(), "photos") | {"path": f"{revision()}/samples/{path.name}"}
        for name, path in photos().items()
    ]
    return [_sample(name, data, "digits") | {"png": _text(data)} for name, data in digits.items()] + pictures


def _given(images: Mapping[str, bytes]) -> list[dict[str, str]]:
    """Images that suit every model, in the page."""
    return [_sample(name, data, "given") | {"png": _text(data)} for name, data in images.items()]


def _sample(name: str, data: bytes, kind: str) -> dict[str, str]:
    return {"name": name, "kind": kind, "id": f"sha256-{hashlib.sha256(data).hexdigest()}"}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
