"""The Accept header: a request that allows nothing of what its route answers with is refused before its body is read."""

from collections.abc import Sequence

from fastapi.routing import RouteContext
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Scope

from layerscope.encode import MEDIA_TYPES
from layerscope.errors import NotAcceptable
from layerscope_api.middleware.refusing import RefusingMiddleware
from layerscope_api.middleware.route_table import RouteTable
from layerscope_api.responses.content_negotiation import quality_of
from layerscope_api.schemas.media_types import JSON_TYPE

_ANYTHING = frozenset({b"", b"*/*"})
_PREFIXES = ("/v1/", "/metrics")
"""Not `/v2/`: clients of the Open Inference Protocol expect JSON, whatever their libraries send as Accept."""


class AcceptMiddleware(RefusingMiddleware):
    """Answers 406 if the Accept header allows none of the media types that the contract has for an answer of the route.

    Answers as tensors are left to `format_for`: there, the option `format` precedes the header, and it may be in the body.

    Args:
        app: the next ASGI application.
        routes: the routes of the application.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        super().__init__(app)
        self._media_types = RouteTable(routes, _media_types)

    def refusal(self, scope: Scope) -> NotAcceptable | None:
        """Why a request is refused; None if it is not."""
        header = b",".join([value for name, value in scope["headers"] if name == b"accept"])
        if header in _ANYTHING:
            return None
        accept, served = (
            header.decode("latin-1"),
            self._media_types.methods(scope["path"]).get(scope["method"]),
        )
        if not served or any(quality_of(each, accept) for each in served):
            return None
        return NotAcceptable(
            f"Accept: {accept[:100]} allows no answer of this address: it answers with {' or '.join(served)}.",
            media_types=served,
        )


def _media_types(route: RouteContext) -> list[str] | None:
    """The media types of a route's answers; None if all are welcome: there is none, or the route looks at the header itself."""
    if not (route.path or "").startswith(_PREFIXES):
        return None
    declared = route.original_route
    documented = getattr(declared, "responses", {}).get(200, {}).get("content", {})
    has_json = getattr(declared, "response_model", None) is not None
    served = [*documented, *([JSON_TYPE] if has_json else [])]
    return None if not served or MEDIA_TYPES["npz"] in served else served
