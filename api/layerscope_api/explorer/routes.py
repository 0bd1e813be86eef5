"""The routes of the explorer. They need no key: the files hold no data, and the page calls the API with the user's key."""

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from layerscope_api.explorer.files import ExplorerFile, explorer_files, revision
from layerscope_api.responses.errors import not_found_response

if TYPE_CHECKING:
    from layerscope_api.explorer.page import Page

router = APIRouter(include_in_schema=False)

_IMMUTABLE = "public, max-age=31536000, immutable"


@router.get("/")
@router.get("/ui")
async def start() -> Response:
    """Redirect to the page. The address is relative, so that it is right behind a proxy that adds a path."""
    return RedirectResponse("ui/")


@router.get("/ui/")
async def explorer(request: Request) -> Response:
    """The page."""
    page: Page = request.app.state.page
    return _file_response(
        request, page.file, {"Content-Security-Policy": page.policy, "Cache-Control": "no-cache"}
    )


@router.get("/ui/{path:path}")
async def explorer_file(request: Request, path: str) -> Response:
    """A module. Under its revision it never changes; without one, as other sites embed `client/layerscope.js`, it is today's."""
    named, _, rest = path.partition("/")
    is_revision = named == revision()
    file = explorer_files().get(rest if is_revision else path)
    if file is None:
        return not_found_response(request.scope)
    return _file_response(request, file, {"Cache-Control": _IMMUTABLE if is_revision else "no-cache"})


def _file_response(request: Request, file: ExplorerFile, headers: dict[str, str]) -> Response:
    headers = {**headers, "Vary": "Accept-Encoding"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(file.content, media_type=file.media_type, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(file.compressed, media_type=file.media_type, headers=headers)
