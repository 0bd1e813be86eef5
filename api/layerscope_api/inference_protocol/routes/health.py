"""The probes: whether the process is alive, and whether the service is ready."""

from fastapi import APIRouter, Request, Response

from layerscope.errors import RunStuck
from layerscope_api.context.service import ServiceDependency
from layerscope_api.observability.request_metrics import request_metrics
from layerscope_api.schemas.openapi import open_errors
from layerscope_api.schemas.service import Liveness, Readiness

router = APIRouter(prefix="/v2/health", tags=["health"])


@router.get("/live", responses=open_errors(503))
async def live(service: ServiceDependency) -> Liveness:
    """Whether the process answers, and no run of a model goes on in it that only its end would end (503)."""
    if service.engine.is_stuck:
        raise RunStuck(
            f"A run of a model goes on for more than {service.limits.stuck_milliseconds / 1000:g} seconds, and cannot be"
            " ended: end this process, and start it again."
        )
    return Liveness(live=True)


@router.get(
    "/ready",
    responses={
        503: {"model": Readiness, "description": "Models are still being loaded, or the service ends"},
        **open_errors(),
    },
)
async def ready(request: Request, service: ServiceDependency, response: Response) -> Readiness:
    """Whether every model is loaded or has failed, and the service was not told to end."""
    if not service.is_ready:
        response.status_code = 503
        request_metrics(request.scope).is_routine = not service.engine.is_ready
    return Readiness(ready=service.is_ready, live=True)
