"""From a result to an HTTP response: headers, timings, ETag and caching, the same for every tensor and picture."""

import hashlib
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote

import orjson
from fastapi import Request, Response

from layerscope import __version__
from layerscope.encode import Buffer
from layerscope.graph.model import ModelDescription
from layerscope.tensors.activations import Activations
from layerscope.tensors.timing import Timing, seconds_by_stage
from layerscope_api.context.service import Service
from layerscope_api.observability.request_metrics import request_metrics
from layerscope_api.requests.body import Asked, Stored
from layerscope_api.responses.buffers import BuffersResponse
from layerscope_api.responses.disconnect import cancelled_on_disconnect
from layerscope_api.responses.execution import Execution
from layerscope_api.schemas.options import ImageOptions

Options = TypeVar("Options", bound=ImageOptions)


@dataclass(frozen=True)
class Answer:
    """A body as a list of buffers, and what the headers say of it."""

    buffers: Sequence[Buffer]
    media_type: str
    model: ModelDescription
    activations: Activations
    headers: Mapping[str, str] = field(default_factory=dict)


async def respond(
    request: Request,
    service: Service,
    reference: str,
    asked: Asked[Options],
    answer: Callable[[Execution], Answer],
    more: float = 0.0,
) -> Response:
    """Answer a GET from what the client has if that is still true, else do the work in a thread.

    Args:
        request: what came in.
        service: who answers.
        reference: the model that was asked for.
        asked: the options and images.
        answer: does the work, until it is cancelled; it may block.
        more: how many seconds it may take besides what every request may.
    """
    request_metrics(request.scope).reference = reference
    validity: dict[str, str] = {}
    if request.method in {"GET", "HEAD"}:
        model = service.engine.describe(reference)
        validity = _validity(service, reference, model, _etag(request, model, asked))
        if _matches(request.headers.get("if-none-match", ""), validity["ETag"]):
            return Response(status_code=304, headers=validity)
    return await send(request, service, answer, validity, more)


async def send(
    request: Request,
    service: Service,
    answer: Callable[[Execution], Answer],
    headers: Mapping[str, str] | None = None,
    more: float = 0.0,
) -> Response:
    """Do the work in a thread, and answer with what comes of it.

    Args:
        request: what came in.
        service: who answers.
        answer: does the work, until it is cancelled; it may block.
        headers: further headers.
        more: how many seconds it may take besides what every request may.
    """
    metrics = request_metrics(request.scope)
    execution = Execution(metrics.stopwatch)
    async with cancelled_on_disconnect(request, execution.cancellation):
        done = await service.request_pool.run(lambda: answer(execution), more)
    metrics.answered(done.model, done.activations, execution.timings)
    every = {
        "X-Model": f"{done.model.name}@{done.model.version}",
        "X-Model-Digest": done.model.digest,
        "Server-Timing": _server_timing(execution.timings, is_hit=done.activations.hit),
        **done.headers,
        **(headers or {}),
    }
    return BuffersResponse(done.buffers, done.media_type, every)


def ascii_address(address: str) -> str:
    """An address as a header can carry it: percent-encoded outside ASCII, which is another spelling of it."""
    return quote(address, safe=string.punctuation)


def _etag(request: Request, model: ModelDescription, asked: Asked[Options]) -> str:
    """A strong validator: everything the bytes of the answer depend on."""
    parts = {
        "model": model.digest,
        "name": f"{model.name}@{model.version}",
        "service": __version__,
        "path": request.url.path.rpartition("/")[2],
        "accept": request.headers.get("accept", ""),
        "images": [each.id for each in asked.material.get("image", []) if isinstance(each, Stored)],
        "options": asked.options.model_dump_json(),
    }
    return f'"{hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]}"'


def _matches(if_none_match: str, etag: str) -> bool:
    candidates = {candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")}
    return etag in candidates or "*" in candidates


def _validity(service: Service, reference: str, model: ModelDescription, etag: str) -> dict[str, str]:
    """How long the answer is true. An exact version never changes; what a bare name or a label means may."""
    is_exact = reference == f"{model.name}@{model.version}"
    kept = f"max-age={service.settings.max_age_seconds}, immutable" if is_exact else "no-cache"
    return {"ETag": etag, "Cache-Control": f"private, {kept}", "Vary": "Accept"}


def _server_timing(timings: Sequence[Timing], *, is_hit: bool) -> str:
    stages = seconds_by_stage(timings)
    durations = [f"{stage};dur={seconds * 1000:.2f}" for stage, seconds in stages.items()]
    return ", ".join([*durations, f"cache;desc={'hit' if is_hit else 'miss'}"])
