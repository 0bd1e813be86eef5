"""Error responses: the one table from error classes to HTTP statuses, and the one JSON body of every error."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, compile_path
from starlette.types import Scope

from layerscope import errors
from layerscope_api.observability.request_metrics import request_metrics

logger = logging.getLogger(__name__)

STATUSES: dict[type[errors.LayerscopeError], int] = {
    errors.Malformed: 400,
    errors.KeyInvalid: 401,
    errors.Denied: 403,
    errors.NotFound: 404,
    errors.NotAcceptable: 406,
    errors.SlowSender: 408,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.Unsupported: 415,
    errors.Impossible: 422,
    errors.Overloaded: 429,
    errors.HeadersTooLarge: 431,
    errors.Unavailable: 503,
    errors.DeadlineExceeded: 504,
    errors.StorageFull: 507,
}

_RETRY_AFTER_SECONDS = "1"
_PROTOCOL = "/v2/"
_UNSUPPORTED_EXTENSIONS = {
    "/v2/systemsharedmemory/": "Shared memory",
    "/v2/cudasharedmemory/": "Shared memory",
    "/v2/trace/": "The trace extension",
    "/v2/logging": "The logging extension",
}
"""Extensions of the Open Inference Protocol that clients may try, by the beginning of their path."""

_FRAMEWORK_ERRORS = {
    404: ("not_found", "There is nothing at this address: see /docs for what there is."),
    405: ("method_not_allowed", "This address does not take that method: see /docs for those it takes."),
}


def status_of(error: errors.LayerscopeError) -> int:
    """The HTTP status of an error: that of its nearest class in `STATUSES`."""
    return next(STATUSES[cause] for cause in type(error).__mro__ if cause in STATUSES)


def add_error_handlers(app: FastAPI) -> None:
    """Register the handlers that give every error of routes the same body."""
    app.add_exception_handler(errors.LayerscopeError, _handle_layerscope_error)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)


def error_response(
    request: Request, status: int, code: str, message: str, details: dict[str, Any] | None = None
) -> JSONResponse:
    """An error response. Below `/v2/` 422 becomes 400, which clients of the Open Inference Protocol expect."""
    if status == 422 and request.url.path.startswith(_PROTOCOL):
        status = 400
    request_metrics(request.scope).reason = code
    body = error_body(request.scope.get("request_id", ""), code, message, details)
    headers = {"Retry-After": _RETRY_AFTER_SECONDS} if status in {429, 503} else None
    return JSONResponse(body, status, headers)


def error_body(
    request_id: str, code: str, message: str, details: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The JSON body of every error."""
    return {"error": message, "code": code, "request_id": request_id, "details": details or {}}


def not_found_response(scope: Scope) -> JSONResponse:
    """The response 404 for a path without a route, or 400 for an extension of the protocol that is not supported."""
    for prefix, feature in _UNSUPPORTED_EXTENSIONS.items():
        if scope["path"].startswith(prefix):
            return error_response(Request(scope), 400, "not_supported", f"{feature} is not supported.")
    return error_response(Request(scope), 404, *_FRAMEWORK_ERRORS[404])


def method_not_allowed_response(scope: Scope, methods: Iterable[str]) -> JSONResponse:
    """The response 405 for a path that takes other methods."""
    response = error_response(Request(scope), 405, *_FRAMEWORK_ERRORS[405])
    allowed = set(methods)
    response.headers["Allow"] = ", ".join(sorted(allowed | {"HEAD"} if "GET" in allowed else allowed))
    return response


def layerscope_error_response(request: Request, error: errors.LayerscopeError) -> JSONResponse:
    """The response for an error of `layerscope.errors`."""
    return error_response(request, status_of(error), error.code, error.message, error.details)


def internal_error_response(request: Request, error: Exception) -> JSONResponse:
    """The response 500 for an unexpected exception, which is written to the log and not shown to the client."""
    scope = request.scope
    request_id = scope.get("request_id")
    fields = {"request_id": request_id, **scope.get("trace", {})}
    logger.error("request %s failed", request_id, exc_info=error, extra={"request": fields})
    return error_response(
        request, 500, "internal_error", "The service failed; this is a bug. Its log has the request id."
    )


async def _handle_layerscope_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.LayerscopeError)  # noqa: S101 - registered for this type only
    return layerscope_error_response(request, error)


async def _handle_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    if error.status_code == 405:
        # FastAPI names only the methods of the first route that matches the path.
        return method_not_allowed_response(request.scope, _methods(request.app.routes, request.scope["path"]))
    if error.status_code == 404:
        return not_found_response(request.scope)
    fallback = ("invalid_request", f"The request cannot be answered: {HTTPStatus(error.status_code).phrase}.")
    code, message = _FRAMEWORK_ERRORS.get(error.status_code, fallback)
    response = error_response(request, error.status_code, code, message)
    response.headers.update(error.headers or {})
    return response


def _methods(routes: Sequence[BaseRoute], path: str) -> set[str]:
    found: set[str] = set()
    for context in iter_route_contexts(routes):
        if context.path and compile_path(context.path)[0].match(path):
            found |= context.methods or set()
    return found


async def _handle_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    message = f"{field[:100]} is not valid: {first['msg'][:200]}."
    return error_response(request, 422, "option_invalid", message, {"option": field[:100]})


def early_error_response(
    scope: Scope, error: errors.LayerscopeError, headers: Mapping[str, str] | None = None
) -> Response:
    """The response to a request that is refused before its body is read.

    If there is a body, the connection is closed: what is left of it would be read as the next request.
    """
    response = layerscope_error_response(Request(scope), error)
    response.headers.update(headers or {})
    if has_body(scope):
        response.headers["Connection"] = "close"
    return response


def has_body(scope: Scope) -> bool:
    """Whether the headers announce a body."""
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
