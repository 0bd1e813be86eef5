"""The OpenAPI descriptions of routes that read their requests themselves."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from layerscope.encode import MEDIA_TYPES
from layerscope.render import MEDIA_TYPES as PICTURE_TYPES
from layerscope_api.schemas.media_types import (
    ANY_TYPE,
    FORM_TYPE,
    IMAGE_TYPES,
    JSON_TYPE,
    NPY_TYPE,
    TEXT_TYPE,
)
from layerscope_api.schemas.option_types import REPEATABLE
from layerscope_api.schemas.options import ImageOptions
from layerscope_api.schemas.service import ErrorBody

PNG_TYPE = "image/png"

_MEANINGS = {
    400: "The request cannot be understood",
    401: "The API key is missing or not known; see WWW-Authenticate",
    403: "The API key, or the page that asks, may not do this",
    404: "No such model or image",
    406: "Accept allows nothing that is served here",
    408: "The request did not arrive in its time",
    409: "The model is not loaded, or the service takes no such order",
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
TEXTS = {
    "text": {
        "type": "array",
        "items": {"type": "string"},
        "description": "texts, for a model with a tokenizer",
    },
    "tokens": {
        "type": "array",
        "items": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}},
        "description": "the ids of the tokens of each text, special ones included",
    },
}
"""The properties of JSON bodies with texts."""

_COMMA_SEPARATED = {"style": "form", "explode": False}

_ALWAYS = (400, 408, 431, 500)
_WITH_KEY = (401, 403, 429, 504)

Responses = dict[int | str, dict[str, Any]]


def _header(description: str, kind: str = "string", *, always: bool = True) -> dict[str, Any]:
    return {"description": description, "required": always, "schema": {"type": kind}}


LOCATION = {"Location": _header("Where it is")}
_RETRY_AFTER = {"Retry-After": _header("Seconds to wait before asking again", "integer")}
_HEADERS = {
    401: {"WWW-Authenticate": _header("How to send a key")},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}
_VALIDITY = {
    "ETag": _header("Stays the same as long as the answer does; of answers to GET", always=False),
    "Cache-Control": _header("How long the answer may be kept; of answers to GET", always=False),
}
_ORIGIN = {
    "X-Model": _header("The model and version that answered, name@version", always=False),
    "X-Model-Digest": _header("The digest of its file", always=False),
    "X-Edits": _header("A digest of the edits, of answers about an edited model", always=False),
    "X-Seed": _header("The seed, of answers about a model that draws random numbers", always=False),
    "X-Layer": _header("The layer's address, of answers about one layer", always=False),
}
_VALUES = {
    "X-Value-Min": _header("The value of the lowest colour, of maps", "number", always=False),
    "X-Value-Max": _header("The value of the highest colour, of maps", "number", always=False),
}


def errors(*statuses: int) -> Responses:
    """The error responses of a route, with those that every request may get."""
    return open_errors(*statuses, *_WITH_KEY)


def open_errors(*statuses: int) -> Responses:
    """The error responses of a route that needs no key."""
    every = sorted({*statuses, *_ALWAYS})
    return {status: _error(status) for status in every}


def _error(status: int) -> dict[str, Any]:
    documented: dict[str, Any] = {"model": ErrorBody, "description": _MEANINGS[status]}
    return documented | ({"headers": _HEADERS[status]} if status in _HEADERS else {})


RUN_ERRORS = errors(400, 404, 406, 409, 413, 415, 422, 429, 503, 504)
"""The error responses of every route that runs a model."""

NOT_MODIFIED: Responses = {304: {"description": "What the client has is still true", "headers": _VALIDITY}}

TENSORS: Responses = {
    200: {
        "description": "The activations, in the format asked for",
        "content": {media_type: _BINARY for name, media_type in MEDIA_TYPES.items() if name != "json"},
        "headers": {**_VALIDITY, **_ORIGIN},
    }
}

THUMBNAIL: Responses = {200: {"description": "The picture, a PNG", "content": {PNG_TYPE: _BINARY}}}

PICTURE: Responses = {
    200: {
        "description": "The picture, as PNG or, for who accepts it rather than PNG, as WebP without loss",
        "content": dict.fromkeys(PICTURE_TYPES.values(), _BINARY),
        "headers": {**_VALIDITY, **_ORIGIN, **_VALUES},
    }
}


def query_parameters(kind: type[ImageOptions]) -> dict[str, Any]:
    """The options of a route as query parameters; `image` is required if the route needs images."""
    parameters = list(_parameters(kind))
    for each in parameters:
        if each["name"] == "image" and kind.needs_images:
            each["required"] = True
            each["schema"]["minItems"] = 1
            del each["schema"]["default"]
    return {"parameters": parameters}


def query_and_body(kind: type[ImageOptions]) -> dict[str, Any]:
    """The options of a route as query parameters, and the forms of a body."""
    schema = _options_schema(kind)
    image = {"type": "object", "properties": {"id": {"type": "string"}, "base64": {"type": "string"}}}
    images = {"type": "array", "items": image}
    json_schema = {
        "type": "object",
        "properties": {
            "images": images,
            "inputs": {"type": "object", "additionalProperties": images},
            **TEXTS,
            **schema,
        },
        "additionalProperties": False,
    }
    form_schema = {
        "type": "object",
        "properties": {**schema, "image": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    }
    encoding = {name: _COMMA_SEPARATED for name, each in schema.items() if _is_comma_separated(name, each)}
    form = {"schema": form_schema, **({"encoding": encoding} if encoding else {})}
    content: dict[str, Any] = dict.fromkeys((*IMAGE_TYPES, NPY_TYPE, ANY_TYPE), _BINARY)
    content |= {
        TEXT_TYPE: {"schema": {"type": "string"}},
        FORM_TYPE: form,
        JSON_TYPE: {"schema": json_schema},
    }
    return {"parameters": list(_parameters(kind)), "requestBody": {"required": True, "content": content}}


def _options_schema(kind: type[BaseModel]) -> dict[str, Any]:
    properties: dict[str, Any] = kind.model_json_schema()["properties"]
    return properties


def _parameters(kind: type[ImageOptions]) -> Iterable[dict[str, Any]]:
    document = kind.model_json_schema()
    required = document.get("required", [])
    for name, schema in document["properties"].items():
        description = schema.pop("description", "")
        style = _COMMA_SEPARATED if _is_comma_separated(name, schema) else {}
        yield {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": description,
            "schema": schema,
            **style,
        }


def _is_comma_separated(name: str, schema: dict[str, Any]) -> bool:
    """Whether a query or a form has the values of an option in one comma separated text."""
    kinds = {each.get("type") for each in (schema, *schema.get("anyOf", []))}
    return "array" in kinds and name not in REPEATABLE
