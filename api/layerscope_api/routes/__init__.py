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
    # The framework tries them one by one: what is asked all the time comes first.
    infer.router,
    activations.router,
    predictions.router,
    feature_maps.router,
    overlays.router,
    attributions.router,
    statistics.router,
    inspect.router,
    images.router,
    models.router,
    model_control.router,
    uploads.router,
    plan.router,
    receptive_field.router,
    service.router,
    metrics.router,
    pages.router,
    explorer.router,
    health.router,
    server.router,
    protocol_models.router,
    repository.router,
)
