"""Answers that are given before a request's body is read."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from layerscope.errors import LayerscopeError
from layerscope_api.errors import our_error


def refusal(scope: Scope, error: LayerscopeError, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request whose body, if it has one, stays unread: the connection ends with it."""
    response = our_error(Request(scope), error)
    response.headers.update(headers or {})
    if has_body(scope):
        response.headers["Connection"] = "close"
    return response


def has_body(scope: Scope) -> bool:
    """Whether a body follows the headers."""
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
