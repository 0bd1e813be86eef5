"""Predictions: what the model itself says."""

import orjson
from fastapi import APIRouter, Request, Response

from layerscope.execution.interface import Query, QueryPlan, Result
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ModelReference, Service, ServiceDependency
from layerscope_api.requests.body import Asked, read_request
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.respond import Answer, respond
from layerscope_api.schemas.openapi import NOT_MODIFIED, RUN_ERRORS, query, query_and_body
from layerscope_api.schemas.options import PredictionOptions
from layerscope_api.schemas.results import PredictionsBody
from layerscope_api.serializers.models import identity, preprocessing_body
from layerscope_api.serializers.predictions import building_bytes, predicted

router = APIRouter(prefix="/v1/models", tags=["predictions"], dependencies=[INFER])


@router.get(
    "/{model}/predictions",
    response_model=PredictionsBody,
    responses={**RUN_ERRORS, **NOT_MODIFIED},
    openapi_extra=query(PredictionOptions),
)
async def get_predictions(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
    """The most likely classes of stored images."""
    return await _predictions(model, request, service)


@router.post(
    "/{model}/predictions",
    response_model=PredictionsBody,
    responses=RUN_ERRORS,
    openapi_extra=query_and_body(PredictionOptions),
)
async def post_predictions(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
    """The most likely classes of the images in the body."""
    return await _predictions(model, request, service)


async def _predictions(model: str, request: Request, service: Service) -> Response:
    asked = await read_request(request, PredictionOptions, service.limits)
    return await respond(
        request, service, model, asked, lambda execution: _answer(service, model, asked, execution)
    )


def _answer(service: Service, model: str, asked: Asked[PredictionOptions], execution: Execution) -> Answer:
    top = asked.options.top
    query = Query(
        model=model,
        sources=asked.sources(service.images, service.limits),
        layers=["outputs"],
    )

    def answer_bytes(plan: QueryPlan) -> int:
        return sum(building_bytes(spec, top) for spec in plan.specs)

    with execution.run(service.engine, query, answer_bytes) as result:
        body = execution.encoded(lambda: _body(result, top))
        return Answer([body], "application/json", result.model, result.activations)


def _body(result: Result, top: int) -> bytes:
    found = result.activations
    document = {
        "model": identity(result.model).model_dump(),
        "images": found.images,
        "preprocessing": preprocessing_body(result.model),
        "warnings": found.warnings,
        "outputs": predicted(result, top),
    }
    return orjson.dumps(document)
