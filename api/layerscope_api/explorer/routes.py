"""The explorer. It is open to everybody: it holds nothing but itself, and asks the API with the key of who looks."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from layerscope_api.explorer import ExplorerFile, explorer_files, page, page_policy, revision
from layerscope_api.responses.errors import not_found_response

router = APIRouter(include_in_schema=False)

_FOR_EVER = "public, max-age=31536000, immutable"


@router.get("/")
@router.get("/ui")
async def start() -> Response:
    """The way to the page, whatever path a proxy has put before it."""
    return RedirectResponse("ui/")


@router.get("/ui/")
async def explorer(request: Request) -> Response:
    """The page."""
    return _sent(request, page(), {"Content-Security-Policy": page_policy(), "Cache-Control": "no-cache"})


@router.get("/ui/{path:path}")
async def explorer_file(request: Request, path: str) -> Response:
    """What it is made of, under its revision for ever, or as it is now: `client/layerscope.js` for pages of others."""
    named, _, rest = path.partition("/")
    is_revision = named == revision()
    file = explorer_files().get(rest if is_revision else path)
    if file is None:
        return not_found_response(request.scope)
    return _sent(request, file, {"Cache-Control": _FOR_EVER if is_revision else "no-cache"})


def _sent(request: Request, file: ExplorerFile, headers: dict[str, str]) -> Response:
    headers = {**headers, "Vary": "Accept-Encoding"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(file.content, media_type=file.media_type, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(file.compressed, media_type=file.media_type, headers=headers)
