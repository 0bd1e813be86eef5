"""The page of the API documentation, and the OpenAPI document. The page loads nothing from other sites.

A browser cannot send a key when it opens a page. So the page needs none, and the OpenAPI document does: the page asks for
a key and fetches the document with it.
"""

import asyncio
from functools import cache
from pathlib import PurePosixPath
from typing import Literal

import orjson
from fastapi import APIRouter, Request, Response

from layerscope_api.context.scopes import INFER
from layerscope_api.explorer.files import PACKAGE
from layerscope_api.explorer.page import PAGE_POLICY

router = APIRouter(include_in_schema=False, dependencies=[INFER])

_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


@router.get("/docs")
async def docs() -> Response:
    """The page."""
    return _page("docs.html")


@router.get("/docs/{name}")
async def docs_file(name: Literal["docs.css", "docs.js"]) -> Response:
    """A file of the page."""
    return _page(name)


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    # Made at the first call, which takes half a second.
    document = await asyncio.to_thread(request.app.openapi)
    return Response(orjson.dumps(document), media_type="application/json")


def _page(name: str) -> Response:
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
    return Response(_content(name), headers=headers, media_type=_MEDIA_TYPES[PurePosixPath(name).suffix])


@cache
def _content(name: str) -> bytes:
    return PACKAGE.joinpath("docs", name).read_bytes()
