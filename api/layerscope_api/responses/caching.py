"""HTTP caching of answers to GET: the entity tag, and how long a client may keep the answer (RFC 9111)."""

import hashlib
from collections.abc import Mapping
from typing import TypeVar

import orjson
from fastapi import Request

from layerscope import __version__
from layerscope.execution.inputs import ANY_INPUT
from layerscope.graph.model import ModelDescription
from layerscope.graph.prepared.devices import computed_with
from layerscope_api.context.service import Service
from layerscope_api.requests.body import ParsedRequest
from layerscope_api.requests.json_inputs import NamedImage
from layerscope_api.schemas.options import ImageOptions

Options = TypeVar("Options", bound=ImageOptions)


def validity_headers(
    request: Request,
    service: Service,
    reference: str,
    model: ModelDescription,
    parsed: ParsedRequest[Options],
    data_sets: Mapping[str, str],
) -> dict[str, str]:
    """The headers with which a client can keep the answer and ask whether it is still valid.

    An exact version never changes, so its answers can be kept without asking. The version that a plain name or a label
    means can change at any time, and so can the data set that a name means.

    Args:
        request: the HTTP request.
        service: how it is set up.
        reference: the model as the caller wrote it.
        model: the version that answers.
        parsed: the options and inputs of the request.
        data_sets: the digests of the data sets that it names.
    """
    is_exact = reference == f"{model.name}@{model.version}" and not data_sets
    kept = f"max-age={service.settings.max_age_seconds}, immutable" if is_exact else "no-cache"
    return {
        "ETag": _etag(request, service, model, parsed, data_sets),
        "Cache-Control": f"private, {kept}",
        "Vary": "Accept",
    }


def is_valid(if_none_match: str, etag: str) -> bool:
    """Whether one of the entity tags of If-None-Match is that of the answer, which is compared weakly (RFC 9110 13.1.2)."""
    candidates = {_opaque(candidate.strip()) for candidate in if_none_match.split(",")}
    return _opaque(etag) in candidates


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/")


def _etag(
    request: Request,
    service: Service,
    model: ModelDescription,
    parsed: ParsedRequest[Options],
    data_sets: Mapping[str, str],
) -> str:
    """A weak validator: the digest of everything that the answer depends on but for rounding.

    So it is known before anything is computed. It is weak because the last bits of values depend on more: which layers other
    requests want of the same image, and how many processors there are. A client may ask again after the service was set up
    otherwise or updated.
    """
    settings = service.settings
    parts = {
        "model": model.digest,
        # The name and the version are in the answer.
        "name": f"{model.name}@{model.version}",
        "service": __version__,
        "computed_with": computed_with(),
        "settings": [settings.exact, settings.graph_rewrites],
        "path": request.url.path.rpartition("/")[2],
        "accept": request.headers.get("accept", ""),
        "images": [each.name for each in parsed.inputs.get(ANY_INPUT, []) if isinstance(each, NamedImage)],
        "data_sets": data_sets,
        "options": parsed.options_text,
    }
    return f'W/"{hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]}"'
