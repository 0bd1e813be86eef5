"""The model repository: the state of every model, and loading and unloading."""

from fastapi import APIRouter, Request

from layerscope.execution.interface import Engine
from layerscope.graph.model import LoadedModel
from layerscope.models.entry import Entry
from layerscope_api.context.scopes import INFER, MODELS_WRITE
from layerscope_api.context.service import ServiceDependency
from layerscope_api.inference_protocol.models import ProtocolModel, index, protocol_errors
from layerscope_api.inference_protocol.openapi import parameter
from layerscope_api.inference_protocol.schemas import RepositoryChange, RepositoryModel
from layerscope_api.requests.body import read_body
from layerscope_api.requests.json_body import JsonBody
from layerscope_api.schemas.openapi import errors

router = APIRouter(prefix="/v2/repository", tags=["inference protocol"])

_CHANGE_ERRORS = errors(404, 408, 409, 413, 429, 503)


@router.post("/index", response_model=list[RepositoryModel], responses=errors(408, 413), dependencies=[INFER])
async def repository_index(request: Request, service: ServiceDependency) -> object:
    """Every version of every model and its state; with `{"ready": true}` only those that can be asked."""
    body = await read_body(request)
    options = await service.request_pool.run(lambda: JsonBody(body, service.limits).document) if body else {}
    return index(service.engine.catalogue(), only_ready=options.get("ready") is True)


@router.post(
    "/models/{model}/load",
    name="repository_load",
    response_model=RepositoryChange,
    responses=_CHANGE_ERRORS,
    openapi_extra={"parameters": [parameter("model", "path")]},
    dependencies=[MODELS_WRITE],
)
async def repository_load(service: ServiceDependency, reference: str = ProtocolModel) -> object:
    """Load a model as its files are now: of a plain name the highest version."""
    with protocol_errors(reference):
        entry = await service.admin_pool.run(lambda: service.engine.models.load(reference))
    return RepositoryChange(name=entry.source.name, versions=[str(entry.source.version)])


@router.post(
    "/models/{model}/unload",
    name="repository_unload",
    response_model=RepositoryChange,
    responses=_CHANGE_ERRORS,
    openapi_extra={"parameters": [parameter("model", "path")]},
    dependencies=[MODELS_WRITE],
)
async def repository_unload(service: ServiceDependency, reference: str = ProtocolModel) -> object:
    """Take a model out of memory: of a plain name every version that is there."""
    with protocol_errors(reference):
        entries = await service.admin_pool.run(lambda: _unload(service.engine, reference))
    return RepositoryChange(
        name=reference.partition("@")[0], versions=[str(entry.source.version) for entry in entries]
    )


def _unload(engine: Engine, reference: str) -> list[Entry[LoadedModel]]:
    loaded = [
        f"{record.name}@{record.version}"
        for record in engine.catalogue()
        if record.name == reference and record.state == "ready"
    ]
    return [engine.models.unload(each) for each in loaded or [reference]]
