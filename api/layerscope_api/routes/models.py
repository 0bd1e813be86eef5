"""Models: the list of them, their descriptions, layers and graphs."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from layerscope.graph.taps.selectors import read_selectors, require_few
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ModelReference, ServiceDependency
from layerscope_api.responses.respond import json_response
from layerscope_api.schemas.models import GraphBody, LayerList, ModelBody, ModelList
from layerscope_api.schemas.openapi import errors
from layerscope_api.serializers.graph import graph_body
from layerscope_api.serializers.models import layer_list, model_body, model_list

router = APIRouter(prefix="/v1/models", tags=["models"], dependencies=[INFER])

_ERRORS = errors(404, 406, 409, 422, 503)


@router.get("", responses=errors(406))
async def list_models(service: ServiceDependency) -> ModelList:
    """Every model: versions, states, labels; failed ones say why."""
    return model_list(service.engine)


@router.get("/{model}", response_model=ModelBody, responses=_ERRORS)
async def describe_model(model: ModelReference, service: ServiceDependency) -> Response:
    """Inputs, outputs, preprocessing, class names, parameters and memory."""
    description = service.engine.describe(model)
    return await service.request_pool.run(lambda: json_response(model_body(service.engine, description)))


@router.get("/{model}/layers", response_model=LayerList, responses={**_ERRORS, **errors(400, 406, 413, 429)})
async def list_layers(
    model: ModelReference,
    service: ServiceDependency,
    layers: Annotated[
        list[str] | None, Query(description="layer selectors, repeated or comma separated")
    ] = None,
) -> Response:
    """One row a tap: address, type, shape, size, what it computes from, and what can be done with it."""
    description = service.engine.describe(model)
    selectors = read_selectors(["all"] if layers is None else layers)
    require_few(selectors, service.limits)
    return await service.request_pool.run(
        lambda: json_response(layer_list(description, description.taps.select(selectors)))
    )


@router.get("/{model}/graph", response_model=GraphBody, responses=_ERRORS)
async def model_graph(model: ModelReference, service: ServiceDependency) -> Response:
    """Nodes, edges and nested groups, for drawing."""
    description = service.engine.describe(model)
    return await service.request_pool.run(lambda: json_response(graph_body(description)))
