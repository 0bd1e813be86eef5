"""Responses to requests that run a model: the body, the headers, the timings and the cache validation, alike for all."""

import hashlib
import string
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote

from fastapi import Request, Response
from pydantic import BaseModel

from layerscope.encode import Buffer
from layerscope.execution.interface import Result
from layerscope.extraction.catalog import data_sets_in
from layerscope.graph.model import ModelDescription
from layerscope.tensors.activations import Activations
from layerscope.tensors.timing import Timing, seconds_by_stage
from layerscope_api.context.account import account_of
from layerscope_api.context.service import Service
from layerscope_api.context.turns import turn_of
from layerscope_api.observability.request_metrics import request_metrics
from layerscope_api.requests.body import ParsedRequest
from layerscope_api.responses.buffers import BuffersResponse
from layerscope_api.responses.caching import is_valid, validity_headers
from layerscope_api.responses.disconnect import cancelled_on_disconnect
from layerscope_api.responses.execution import Execution
from layerscope_api.schemas.options import ImageOptions

Options = TypeVar("Options", bound=ImageOptions)


@dataclass(frozen=True)
class ResponseBody:
    """The body of a response, and what its headers and the metrics are made of.

    Attributes:
        buffers: the body, see `BuffersResponse`.
        media_type: the media type of the body.
        model: the version that answered.
        activations: what was computed for it.
        headers: the headers of this resource.
    """

    buffers: Sequence[Buffer]
    media_type: str
    model: ModelDescription
    activations: Activations
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """The bytes of the body."""
        return sum(memoryview(buffer).nbytes for buffer in self.buffers)


Answer = ResponseBody | Future[ResponseBody]
"""The body of a response, or one that is being made in another thread."""


def json_response(body: BaseModel) -> Response:
    """The response with a body as JSON. It is written here: of thousands of layers in a worker thread, not in the event loop."""
    return Response(body.model_dump_json(by_alias=True), media_type="application/json")


def json_body(document: bytes, result: Result) -> ResponseBody:
    """The body of a response in JSON."""
    return ResponseBody([document], "application/json", result.model, result.activations)


async def respond(
    request: Request,
    service: Service,
    reference: str,
    parsed: ParsedRequest[Options],
    compute: Callable[[Execution], Answer],
    extra_seconds: float = 0.0,
) -> Response:
    """Answer a GET with 304 if the client's copy is still valid; else compute the answer.

    Args:
        request: the HTTP request.
        service: the engine and the worker pools.
        reference: the model as the caller wrote it.
        parsed: the options and inputs of the request.
        compute: makes the body in a worker thread; it may block.
        extra_seconds: the time that it may take beyond the deadline of every request.
    """
    request_metrics(request.scope).reference = reference
    if request.method not in {"GET", "HEAD"}:
        return await send(request, service, compute, extra_seconds=extra_seconds)

    names = data_sets_in(parsed.options_text)
    data_sets = await service.request_pool.run(lambda: service.catalog.digests(names)) if names else {}

    def validity(model: ModelDescription) -> dict[str, str]:
        return validity_headers(request, service, reference, model, parsed, data_sets)

    known = validity(service.engine.describe(reference))
    if_none_match = request.headers.get("if-none-match", "").strip()
    if is_valid(if_none_match, known["ETag"]):
        return Response(status_code=304, headers=known)
    # Another version may answer than the one just described: a name or a label can move in between.
    response = await send(request, service, compute, validity, extra_seconds)
    if if_none_match != "*":
        return response
    # It stands for any answer that there is, and whether there is one is known only now.
    return Response(status_code=304, headers={name: response.headers[name] for name in known})


def no_headers(_model: ModelDescription) -> dict[str, str]:
    """No further headers."""
    return {}


async def send(
    request: Request,
    service: Service,
    compute: Callable[[Execution], Answer],
    headers: Callable[[ModelDescription], Mapping[str, str]] = no_headers,
    extra_seconds: float = 0.0,
) -> Response:
    """Compute the answer in a worker thread.

    Args:
        request: the HTTP request; if its client disconnects, the computation is cancelled.
        service: the worker pools.
        compute: makes the body in a worker thread; it may block.
        headers: makes further headers, of the version that answered.
        extra_seconds: the time that it may take beyond the deadline of every request.
    """
    metrics = request_metrics(request.scope)
    execution = Execution(metrics.stopwatch, account_of(request.scope), turn_of(request.scope))
    async with cancelled_on_disconnect(request, execution.cancellation):
        body = await service.computed(lambda: compute(execution), extra_seconds)
    metrics.answered(body.model, body.activations, execution.timings)
    all_headers = {
        "X-Model": f"{body.model.name}@{body.model.version}",
        "X-Model-Digest": body.model.digest,
        **_edits_header(body.activations.edits),
        **({} if body.activations.seed is None else {"X-Seed": str(body.activations.seed)}),
        "Server-Timing": _server_timing(execution.timings, is_hit=body.activations.hit),
        **body.headers,
        **headers(body.model),
    }
    receiver_seconds = service.limits.receiver_milliseconds / 1000
    return BuffersResponse(body.buffers, body.media_type, all_headers, execution.account, receiver_seconds)


def ascii_address(address: str) -> str:
    """An address for a header: characters outside ASCII are percent-encoded, which selectors accept as the same address."""
    return quote(address, safe=string.punctuation)


def _edits_header(edits: Sequence[str]) -> dict[str, str]:
    """A name of the edits of the model that an answer is of: the same edits have the same."""
    digest = hashlib.sha256("\n".join(edits).encode()).hexdigest()
    return {"X-Edits": f"sha256-{digest}"} if edits else {}


def _server_timing(timings: Sequence[Timing], *, is_hit: bool) -> str:
    stages = seconds_by_stage(timings)
    durations = [f"{stage};dur={seconds * 1000:.2f}" for stage, seconds in stages.items()]
    return ", ".join([*durations, f"cache;desc={'hit' if is_hit else 'miss'}"])
