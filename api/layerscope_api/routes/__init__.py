"""The routes, one module a resource."""

from layerscope_api.routes import (
    activations,
    attributions,
    explorer,
    feature_maps,
    images,
    inspect,
    metrics,
    model_control,
    models,
    overlays,
    pages,
    plan,
    predictions,
    receptive_field,
    service,
    statistics,
    uploads,
)
from layerscope_api.routes.v2 import health, infer, repository, server
from layerscope_api.routes.v2 import models as protocol_models

ROUTERS = (
    models.router,
    model_control.router,
    uploads.router,
    images.router,
    activations.router,
    plan.router,
    feature_maps.router,
    overlays.router,
    attributions.router,
    statistics.router,
    predictions.router,
    inspect.router,
    receptive_field.router,
    service.router,
    metrics.router,
    pages.router,
    explorer.router,
    health.router,
    server.router,
    protocol_models.router,
    infer.router,
    repository.router,
)
