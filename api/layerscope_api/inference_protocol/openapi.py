"""What the OpenAPI document says of the protocol's routes, which read their paths and bodies themselves."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from layerscope_api.inference_protocol.schemas import InferenceRequestBody, InferenceResponseBody
from layerscope_api.schemas.openapi import Responses, errors

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

HEADER_LENGTH = "Inference-Header-Content-Length"
"""The header that says how many bytes of a body are JSON; what follows them is binary."""

MODEL_ERRORS = errors(404, 409, 429, 503, 504)
INFER_ERRORS = errors(404, 408, 409, 413, 415, 429, 503, 504)


def _schema(kind: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model with those that it names put where they are named: the document knows none of them."""
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
    method: Callable[..., Callable[[Endpoint], Endpoint]],
    suffix: str,
    *,
    query: Sequence[str] = (),
    extra: dict[str, Any] | None = None,
    **options: Any,
) -> Callable[[Endpoint], Endpoint]:
    """Register an endpoint for a model, and for one version of it.

    Args:
        method: `get` or `post` of a router.
        suffix: what stands behind the model.
        query: the names of parameters in the query.
        extra: more of the OpenAPI document.
        options: those of the router's method.
    """

    def register(endpoint: Endpoint) -> Endpoint:
        for names in (("model",), ("model", "version")):
            path = "/{model}" + ("/versions/{version}" if "version" in names else "") + suffix
            name = endpoint.__name__ + ("_of_version" if "version" in names else "")
            parameters = [parameter(each, "path") for each in names] + [
                parameter(each, "query") for each in query
            ]
            described = {**(extra or {}), "parameters": parameters}
            method(path, name=name, openapi_extra=described, **options)(endpoint)
        return endpoint

    return register


def parameter(name: str, place: str) -> dict[str, Any]:
    """A text in the path, or one in the query that may be left out."""
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}
