"""Metrics, for Prometheus."""

import asyncio

from fastapi import APIRouter, Request, Response
from prometheus_client import exposition
from prometheus_client.openmetrics import exposition as openmetrics

from layerscope_api.context.scopes import METRICS
from layerscope_api.context.service import ServiceDependency
from layerscope_api.schemas.openapi import Responses, errors

router = APIRouter(tags=["service"], dependencies=[METRICS])

_OPENMETRICS = "application/openmetrics-text"
_TEXT: Responses = {
    200: {
        "description": "The figures, in the format that Accept asks for: Prometheus' text, or OpenMetrics",
        "content": {each: {"schema": {"type": "string"}} for each in ("text/plain", _OPENMETRICS)},
    }
}


@router.get("/metrics", response_class=Response, responses={**_TEXT, **errors(406)})
async def metrics(request: Request, service: ServiceDependency) -> Response:
    """Every figure that is measured."""
    wants_openmetrics = _OPENMETRICS in request.headers.get("accept", "")
    form = openmetrics if wants_openmetrics else exposition
    text = await asyncio.to_thread(form.generate_latest, service.exported_metrics)
    return Response(text, headers={"Content-Type": form.CONTENT_TYPE_LATEST})
