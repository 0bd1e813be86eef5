"""The OpenAPI descriptions of the protocol's routes, which read their paths and bodies themselves."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from layerscope_api.inference_protocol.schemas import InferenceRequestBody, InferenceResponseBody
from layerscope_api.schemas.openapi import Responses, errors

Handler = TypeVar("Handler", bound=Callable[..., Any])

HEADER_LENGTH = "Inference-Header-Content-Length"
"""The header with the number of bytes of a body that are JSON; binary tensors follow them."""

MODEL_ERRORS = errors(404, 409, 429, 503, 504)
INFER_ERRORS = errors(404, 408, 409, 413, 415, 429, 503, 504)


def _schema(kind: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a model with its references replaced by the schemas themselves.

    The OpenAPI document has no components for bodies that FastAPI does not read.
    """
    schema = kind.model_json_schema()
    named = schema.pop("$defs", {})

    def inlined(part: Any) -> Any:
        if isinstance(part, dict):
            reference = part.get("$ref", "").rpartition("/")[2]
            return (
                inlined(named[reference]) if reference else {key: inlined(each) for key, each in part.items()}
            )
        return [inlined(each) for each in part] if isinstance(part, list) else part

    inline: dict[str, Any] = inlined(schema)
    return inline


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_OCTETS = "application/octet-stream"

INFER_RESPONSES: Responses = {
    200: {
        "model": InferenceResponseBody,
        "description": "The outputs, as JSON or as JSON with binary tensors behind it",
        "content": {_OCTETS: _BINARY},
        "headers": {HEADER_LENGTH: {"description": "bytes of JSON", "schema": {"type": "integer"}}},
    },
    **INFER_ERRORS,
}

INFER_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": _schema(InferenceRequestBody)},
        _OCTETS: _BINARY,
    },
}


def model_paths(
    method: Callable[..., Callable[[Handler], Handler]],
    suffix: str,
    *,
    query: Sequence[str] = (),
    extra: dict[str, Any] | None = None,
    **options: Any,
) -> Callable[[Handler], Handler]:
    """Register a route handler under two paths: that of a model, and that of one version of it.

    Args:
        method: `get` or `post` of a router.
        suffix: the end of the path, behind the model.
        query: the names of query parameters.
        extra: further keys of the operation in the OpenAPI document.
        options: further arguments of `method`.
    """

    def register(handler: Handler) -> Handler:
        for names in (("model",), ("model", "version")):
            path = "/{model}" + ("/versions/{version}" if "version" in names else "") + suffix
            name = handler.__name__ + ("_of_version" if "version" in names else "")
            parameters = [parameter(each, "path") for each in names] + [
                parameter(each, "query") for each in query
            ]
            described = {**(extra or {}), "parameters": parameters}
            method(path, name=name, openapi_extra=described, **options)(handler)
        return handler

    return register


def parameter(name: str, place: str) -> dict[str, Any]:
    """The description of a string parameter: required in the path, optional in the query."""
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}
