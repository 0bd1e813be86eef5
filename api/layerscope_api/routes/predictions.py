"""Predictions: what the model itself says."""

from typing import Any

import numpy as np
import orjson
from fastapi import APIRouter, Request, Response

from layerscope.activations import Activation
from layerscope.execution.engine import Query, Result
from layerscope.graph.model import ModelDescription
from layerscope.tensor_specs import TensorSpec
from layerscope_api.answers import Answer, respond, timed
from layerscope_api.callers import IsWanted
from layerscope_api.contract import NOT_MODIFIED, RUN_ERRORS, query, query_and_body
from layerscope_api.dependencies import ModelReference, Service, ServiceDependency
from layerscope_api.descriptions import identity, preprocessing_body
from layerscope_api.options import PredictionOptions
from layerscope_api.requests import Asked, read_request
from layerscope_api.schemas import PredictionsBody
from layerscope_api.security import INFER

_BYTES_A_VALUE, _BYTES_A_ROW = 16, 1_024

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
        request, service, model, asked, lambda is_wanted: _answer(service, model, asked, is_wanted)
    )


def _answer(service: Service, model: str, asked: Asked[PredictionOptions], is_wanted: IsWanted) -> Answer:
    top = asked.options.top
    query = Query(
        model=model,
        sources=asked.sources(service.images, service.limits),
        layers=["outputs"],
        admit=lambda specs: sum(_building_bytes(spec, top) for spec in specs),
        is_wanted=is_wanted,
    )
    with service.engine.admitted(query) as result:
        body, seconds = timed(lambda: _body(result, top))
        return Answer([body], "application/json", result.model, result.activations, encode_seconds=seconds)


def _building_bytes(spec: TensorSpec, top: int) -> int:
    """What telling an output takes: its values in float64, in order, and a row of the answer a class."""
    rows = spec.shape[0] * min(top, spec.shape[1]) if len(spec.shape) == 2 else 0
    return _BYTES_A_VALUE * spec.size + _BYTES_A_ROW * rows


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
