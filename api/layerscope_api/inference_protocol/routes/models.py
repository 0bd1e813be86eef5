"""Models: their inputs and outputs, their configuration, statistics and readiness."""

import asyncio

from fastapi import APIRouter, Request, Response

from layerscope.errors import ModelNotLoaded, Unavailable
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ServiceDependency
from layerscope_api.inference_protocol.models import (
    ProtocolModel,
    configuration,
    described,
    metadata,
)
from layerscope_api.inference_protocol.openapi import MODEL_ERRORS, model_paths
from layerscope_api.inference_protocol.schemas import (
    ModelConfiguration,
    ModelMetadata,
    ModelReadiness,
    ModelStatistics,
)
from layerscope_api.inference_protocol.statistics import model_statistics
from layerscope_api.observability.request_metrics import request_metrics
from layerscope_api.schemas.openapi import errors

router = APIRouter(prefix="/v2/models", tags=["inference protocol"], dependencies=[INFER])

_LAYERS = "layers"


@router.get("/stats", response_model=ModelStatistics, responses=errors())
async def all_statistics(service: ServiceDependency) -> object:
    """What was asked of every model that is loaded; of all workers."""
    return await asyncio.to_thread(model_statistics, service.engine.catalogue(), service.exported_metrics)


@model_paths(router.get, "/stats", response_model=ModelStatistics, responses=MODEL_ERRORS)
async def statistics_of_model(service: ServiceDependency, reference: str = ProtocolModel) -> object:
    """What was asked of a model, and how long each stage took; of all workers."""
    model = described(service.engine, reference)
    any_version = reference == model.name
    records = [
        record
        for record in service.engine.catalogue()
        if record.name == model.name and (any_version or record.version == model.version)
    ]
    return await asyncio.to_thread(model_statistics, records, service.exported_metrics)


@model_paths(router.get, "", response_model=ModelMetadata, responses=MODEL_ERRORS, query=["outputs"])
async def model_metadata(
    request: Request, service: ServiceDependency, reference: str = ProtocolModel
) -> object:
    """Inputs and outputs; with `outputs=layers` every layer that can be asked for as an output."""
    model = described(service.engine, reference)
    versions = [record.version for record in service.engine.catalogue() if record.name == model.name]
    with_layers = request.query_params.get("outputs") == _LAYERS
    return metadata(model, versions, with_layers=with_layers)


@model_paths(router.get, "/ready", response_model=ModelReadiness, responses=MODEL_ERRORS)
async def model_ready(
    request: Request, service: ServiceDependency, response: Response, reference: str = ProtocolModel
) -> ModelReadiness:
    """Whether a model can be asked; 503 if it cannot, now."""
    name = reference.partition("@")[0]
    try:
        described(service.engine, reference)
    except (ModelNotLoaded, Unavailable):
        response.status_code = 503
        request_metrics(request.scope).is_routine = not service.engine.is_ready
        return ModelReadiness(name=name, ready=False)
    return ModelReadiness(name=name, ready=True)


@model_paths(router.get, "/config", response_model=ModelConfiguration, responses=MODEL_ERRORS)
async def model_config(service: ServiceDependency, reference: str = ProtocolModel) -> object:
    """The same as Triton's model configuration."""
    return configuration(described(service.engine, reference), service.limits.images_per_request)
