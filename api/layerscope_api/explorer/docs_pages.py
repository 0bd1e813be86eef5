"""The page that describes the service. Its files are small, are ours and load nothing from elsewhere.

A browser cannot send a key when it opens a page. So the files of the page are open, and the contract is not: where keys
are in use, the page asks for one and fetches the contract with it.
"""

from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Literal

import orjson
from fastapi import APIRouter, Request, Response

from layerscope_api.context.scopes import INFER
from layerscope_api.explorer import PAGE_POLICY

router = APIRouter(include_in_schema=False, dependencies=[INFER])

_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


@router.get("/docs")
async def docs() -> Response:
    """The contract as a page."""
    return _page("docs.html")


@router.get("/docs/{name}")
async def docs_file(name: Literal["docs.css", "docs.js"]) -> Response:
    """What that page is made of."""
    return _page(name)


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """The contract as a document."""
    return Response(orjson.dumps(request.app.openapi()), media_type="application/json")


def _page(name: str) -> Response:
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
    return Response(_content(name), headers=headers, media_type=_MEDIA_TYPES[PurePosixPath(name).suffix])


@cache
def _content(name: str) -> bytes:
    return files("layerscope_api.explorer").joinpath("docs", name).read_bytes()
