"""Model control: loading and unloading of versions, and labels."""

from typing import Annotated

from fastapi import APIRouter, Path

from layerscope.execution.interface import ModelRecord
from layerscope_api.context.scopes import MODELS_WRITE
from layerscope_api.context.service import ModelReference, ServiceDependency
from layerscope_api.schemas.models import LabelsBody, NamedVersionBody
from layerscope_api.schemas.openapi import errors
from layerscope_api.serializers.models import named_version

router = APIRouter(prefix="/v1/models", tags=["models"], dependencies=[MODELS_WRITE])

Label = Annotated[
    str,
    Path(
        description="a name that points at a version, such as `stable`; `default` is what a plain name means",
        pattern="^[a-z][a-z0-9._-]{0,63}$",
    ),
]


@router.post("/{model}/load", responses=errors(404, 406, 409, 422, 429, 503))
async def load_model(model: ModelReference, service: ServiceDependency) -> NamedVersionBody:
    """Load a version as its files are now; of a plain name the highest version there is.

    One that is loaded serves until the new one can, and requests that it has begun end with it.
    """
    return named_version(
        ModelRecord.of(await service.admin_pool.run(lambda: service.engine.models.load(model)))
    )


@router.post("/{model}/unload", responses=errors(404, 406, 409, 422, 429, 503))
async def unload_model(model: ModelReference, service: ServiceDependency) -> NamedVersionBody:
    """Take a version out of memory: now, or (`unloading`) when the last request that uses it has ended."""
    return named_version(
        ModelRecord.of(await service.admin_pool.run(lambda: service.engine.models.unload(model)))
    )


@router.put("/{model}/labels/{label}", responses=errors(404, 406, 409, 422, 429, 503, 507))
async def set_label(model: ModelReference, label: Label, service: ServiceDependency) -> LabelsBody:
    """Let a label point at a version that is loaded, now and after the next start: `PUT …/digits@3/labels/stable`."""
    entry = await service.admin_pool.run(lambda: service.engine.models.label(model, label))
    name = entry.source.name
    return LabelsBody(name=name, labels=service.engine.labels(name))


@router.delete("/{model}/labels/{label}", status_code=204, responses=errors(404, 409, 422, 429, 503, 507))
async def remove_label(model: ModelReference, label: Label, service: ServiceDependency) -> None:
    """Let a label point at nothing, now and after the next start. The model is given by its plain name."""
    await service.admin_pool.run(lambda: service.engine.models.unlabel(model, label))
