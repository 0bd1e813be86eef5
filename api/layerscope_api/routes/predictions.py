"""Predictions: what the model itself says."""

from typing import Any

import numpy as np
import orjson
from fastapi import APIRouter, Request, Response

from layerscope.activations import Activation
from layerscope.execution.engine import Query, Result
from layerscope.graph.model import ModelDescription
from layerscope_api.answers import Answer, respond, timed
from layerscope_api.contract import NOT_MODIFIED, RUN_ERRORS, query, query_and_body
from layerscope_api.dependencies import ModelReference, Service, ServiceDependency
from layerscope_api.descriptions import identity, preprocessing_body
from layerscope_api.options import PredictionOptions
from layerscope_api.requests import Asked, read_request
from layerscope_api.schemas import PredictionsBody

router = APIRouter(prefix="/v1/models", tags=["predictions"])


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
    return await respond(request, service, model, asked, lambda: _answer(service, model, asked))


def _answer(service: Service, model: str, asked: Asked[PredictionOptions]) -> Answer:
    sources = asked.sources(service.images, service.limits)
    result = service.engine.run(Query(model=model, sources=sources, layers=["outputs"]))
    body, seconds = timed(lambda: _body(result, asked.options.top))
    return Answer(body, "application/json", result.model, result.activations, encode_seconds=seconds)


def _body(result: Result, top: int) -> bytes:
    found = result.activations
    outputs = [_output(result.model, name, found[tap.address], top) for name, tap in result.model.outputs]
    document = {
        "model": identity(result.model).model_dump(),
        "images": found.images,
        "preprocessing": preprocessing_body(result.model),
        "warnings": found.warnings,
        "outputs": outputs,
    }
    return orjson.dumps(document)


def _output(model: ModelDescription, name: str, output: Activation, top: int) -> dict[str, Any]:
    values = output.values.astype(np.float64)
    is_vector = values.ndim == 2
    return {
        "name": name,
        "address": output.tap.address,
        "shape": list(values.shape),
        "predictions": [_most_likely(row, model.classes, top) for row in values] if is_vector else None,
    }


def _most_likely(
    row: np.ndarray[Any, Any], classes: tuple[str, ...] | None, top: int
) -> list[dict[str, Any]]:
    """The highest values first, equal ones by class, NaN last (as null)."""
    order = np.argsort(-row, kind="stable")[:top]
    names = classes if classes is not None and len(classes) == len(row) else None
    return [
        {"class": int(index), "name": names[index] if names else None, "value": float(row[index])}
        for index in order
    ]
