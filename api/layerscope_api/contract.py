"""What the OpenAPI document says of routes that read their requests themselves."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from layerscope.encode import MEDIA_TYPES
from layerscope.render import MEDIA_TYPES as PICTURE_TYPES
from layerscope_api.options import ImageOptions
from layerscope_api.requests import ANY_TYPE, FORM_TYPE, IMAGE_TYPES, JSON_TYPE, NPY_TYPE
from layerscope_api.schemas import ErrorBody

PNG_TYPE = "image/png"

_MEANINGS = {
    400: "The request cannot be understood",
    401: "The API key is missing or not known; see WWW-Authenticate",
    403: "The API key, or the page that asks, may not do this",
    404: "No such model or image",
    408: "The request did not arrive in its time",
    409: "The model is not loaded",
    413: "Larger than a limit; details carry both numbers",
    415: "A format that is not spoken here",
    422: "Well formed, but cannot be done",
    429: "Too much at once; see Retry-After",
    431: "The headers are longer than a limit",
    500: "A bug",
    503: "Not now; see Retry-After",
    504: "Not answered in time",
    507: "No room to store it",
}

_BINARY = {"schema": {"type": "string", "format": "binary"}}

_ALWAYS = (400, 408, 431, 500)
_BEHIND_THE_DOOR = (401, 403, 429, 504)

Responses = dict[int | str, dict[str, Any]]


def errors(*statuses: int) -> Responses:
    """Document error answers: those of the route, and those that every request may get."""
    return open_errors(*statuses, *_BEHIND_THE_DOOR)


def open_errors(*statuses: int) -> Responses:
    """The same for a route that needs no key."""
    every = sorted({*statuses, *_ALWAYS})
    return {status: {"model": ErrorBody, "description": _MEANINGS[status]} for status in every}


RUN_ERRORS = errors(400, 404, 409, 413, 415, 422, 429, 503, 504)
"""The error answers of every route that runs a model."""

NOT_MODIFIED: Responses = {304: {"description": "What the client has is still true"}}

TENSORS: Responses = {
    200: {
        "description": "The activations, in the format asked for",
        "content": {media_type: _BINARY for name, media_type in MEDIA_TYPES.items() if name != "json"},
    }
}

THUMBNAIL: Responses = {200: {"description": "The picture, a PNG", "content": {PNG_TYPE: _BINARY}}}

PICTURE: Responses = {
    200: {
        "description": "The picture, as PNG or, for who accepts it rather than PNG, as WebP without loss",
        "content": dict.fromkeys(PICTURE_TYPES.values(), _BINARY),
    }
}


def query(kind: type[ImageOptions]) -> dict[str, Any]:
    """The options of a route as query parameters."""
    return {"parameters": list(_parameters(kind))}


def query_and_body(kind: type[ImageOptions]) -> dict[str, Any]:
    """The options of a route as query parameters, and the four forms of a body."""
    schema = _options_schema(kind)
    image = {"type": "object", "properties": {"id": {"type": "string"}, "base64": {"type": "string"}}}
    images = {"type": "array", "items": image}
    json_schema = {
        "type": "object",
        "properties": {
            "images": images,
            "inputs": {"type": "object", "additionalProperties": images},
            **schema,
        },
    }
    form_schema = {
        "type": "object",
        "properties": {**schema, "image": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    }
    content: dict[str, Any] = dict.fromkeys((*IMAGE_TYPES, NPY_TYPE, ANY_TYPE), _BINARY)
    content |= {FORM_TYPE: {"schema": form_schema}, JSON_TYPE: {"schema": json_schema}}
    return {**query(kind), "requestBody": {"required": True, "content": content}}


def _options_schema(kind: type[BaseModel]) -> dict[str, Any]:
    properties: dict[str, Any] = kind.model_json_schema()["properties"]
    return properties


def _parameters(kind: type[ImageOptions]) -> Iterable[dict[str, Any]]:
    document = kind.model_json_schema()
    required = document.get("required", [])
    for name, schema in document["properties"].items():
        description = schema.pop("description", "")
        yield {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": description,
            "schema": schema,
        }
