"""Models: the list of them, their descriptions, layers and graphs."""

from typing import Annotated

from fastapi import APIRouter, Query

from layerscope.graph.taps.selectors import read_selectors, require_few
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ModelReference, ServiceDependency
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


@router.get("/{model}", responses=_ERRORS)
async def describe_model(model: ModelReference, service: ServiceDependency) -> ModelBody:
    """Inputs, outputs, preprocessing, class names, parameters and memory."""
    return model_body(service.engine, service.engine.describe(model))


@router.get("/{model}/layers", responses={**_ERRORS, **errors(400, 406, 413, 429)})
async def list_layers(
    model: ModelReference,
    service: ServiceDependency,
    layers: Annotated[
        list[str] | None, Query(description="layer selectors, repeated or comma separated")
    ] = None,
) -> LayerList:
    """One row a tap: address, type, shape, size, what it computes from, and what can be done with it."""
    description = service.engine.describe(model)
    selectors = read_selectors(["all"] if layers is None else layers)
    require_few(selectors, service.limits)
    taps = await service.request_pool.run(lambda: description.taps.select(selectors))
    return layer_list(description, taps)


@router.get("/{model}/graph", responses=_ERRORS)
async def model_graph(model: ModelReference, service: ServiceDependency) -> GraphBody:
    """Nodes, edges and nested groups, for drawing."""
    description = service.engine.describe(model)
    return await service.request_pool.run(lambda: graph_body(description))
