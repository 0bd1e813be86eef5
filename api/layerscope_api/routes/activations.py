"""Activations: the tensors of the selected layers."""

from dataclasses import replace

from fastapi import APIRouter, Request, Response

from layerscope.encode import encode
from layerscope.execution.interface import Query, QueryPlan
from layerscope.tensors.statistics import statistics_of
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ModelReference, Service, ServiceDependency
from layerscope_api.requests.body import Asked, read_request
from layerscope_api.responses.content_negotiation import format_for
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.respond import Answer, ascii_address, respond
from layerscope_api.schemas.openapi import NOT_MODIFIED, RUN_ERRORS, TENSORS, query, query_and_body
from layerscope_api.schemas.options import ActivationOptions
from layerscope_api.schemas.results import ActivationsBody
from layerscope_api.serializers.activations import activation_metadata, admit

router = APIRouter(prefix="/v1/models", tags=["activations"], dependencies=[INFER])

_RESPONSES = {**TENSORS, **RUN_ERRORS}


@router.get(
    "/{model}/activations",
    response_model=ActivationsBody,
    responses={**_RESPONSES, **NOT_MODIFIED},
    openapi_extra=query(ActivationOptions),
)
async def get_activations(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
    """The activations of stored images."""
    return await _activations(model, request, service)


@router.post(
    "/{model}/activations",
    response_model=ActivationsBody,
    responses=_RESPONSES,
    openapi_extra=query_and_body(ActivationOptions),
)
async def post_activations(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
    """The activations of the images in the body."""
    return await _activations(model, request, service)


async def _activations(model: str, request: Request, service: Service) -> Response:
    asked = await read_request(request, ActivationOptions, service.limits)
    accept = request.headers.get("accept")
    return await respond(
        request, service, model, asked, lambda execution: _answer(service, model, asked, accept, execution)
    )


def _answer(
    service: Service, model: str, asked: Asked[ActivationOptions], accept: str | None, execution: Execution
) -> Answer:
    options = asked.options
    form = format_for(accept, options.format)
    query = Query(
        model=model,
        sources=asked.sources(service.images, service.limits),
        layers=options.layers,
    )

    def answer_bytes(plan: QueryPlan) -> int:
        return admit(plan.specs, options, form, service.limits)

    with execution.run(service.engine, query, answer_bytes) as result:
        found = result.activations
        wanted = found.items() if options.statistics else ()
        statistics = {address: statistics_of(each) for address, each in wanted}
        metadata = replace(activation_metadata(result.model, options), statistics=statistics)
        reduced = found.reduced(options.tensor_options())
        encoded = execution.encoded(lambda: encode(reduced, form, metadata, service.limits))
        headers = {"X-Layer": ascii_address(next(iter(reduced)))} if form == "npy" else {}
        return Answer(encoded.buffers, encoded.media_type, result.model, found, headers)
