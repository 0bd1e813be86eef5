"""The routes of `/v1`, one module a resource."""

from layerscope_api.routes import (
    ablations,
    activations,
    attributions,
    comparisons,
    feature_maps,
    images,
    inspect,
    interventions,
    metrics,
    model_control,
    models,
    overlays,
    plan,
    predictions,
    receptive_field,
    service,
    statistics,
    uploads,
)

ROUTERS = (
    # FastAPI tries the routers in this order, so those of frequent requests come first.
    activations.router,
    predictions.router,
    feature_maps.router,
    overlays.router,
    attributions.router,
    statistics.router,
    inspect.router,
    ablations.router,
    interventions.router,
    comparisons.router,
    images.router,
    models.router,
    model_control.router,
    uploads.router,
    plan.router,
    receptive_field.router,
    service.router,
    metrics.router,
)
