"""What every route needs, made once when the application starts."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, Path, Request

from layerscope.execution.interface import Engine
from layerscope.images import ImageStore
from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.context.worker_pool import Work
from layerscope_api.observability.metrics import Figures, Metrics


@dataclass
class Lifecycle:
    """`is_draining`: it was told to end, and says to who asks that it is not ready for new work."""

    is_draining: bool = False


@dataclass(frozen=True)
class Service:
    """The engine, the stored images, and where blocking work is done: that of requests, and `changes` of models.

    `metrics` counts what is done, and `figures` tells that of all processes that answer.
    """

    settings: Settings
    engine: Engine
    images: ImageStore
    work: Work
    changes: Work
    lifecycle: Lifecycle
    metrics: Metrics
    figures: Figures

    @property
    def limits(self) -> Limits:
        """The bounds in force."""
        return self.settings.limits

    @property
    def attribution_seconds(self) -> float:
        """How long an attribution may take besides what every request may."""
        return self.limits.attribution_milliseconds / 1000

    @property
    def is_ready(self) -> bool:
        """Whether new work may come."""
        return self.engine.is_ready and not self.lifecycle.is_draining


async def _service(request: Request) -> Service:
    """Not blocking, and async to say so: the framework would send it through a thread otherwise."""
    service: Service = request.app.state.service
    return service


ServiceDependency = Annotated[Service, Depends(_service)]

ModelReference = Annotated[str, Path(description="`name`, `name@version` or `name@label`", max_length=200)]


def lifecycle_of(app: FastAPI) -> Lifecycle:
    """That of an application made by `create_app`."""
    lifecycle: Lifecycle = app.state.lifecycle
    return lifecycle
