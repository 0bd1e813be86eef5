"""The repository: which models there are, and which of them are in memory."""

from typing import Any

import orjson
from fastapi import APIRouter, Request

from layerscope.errors import InvalidRequest
from layerscope_api.contract import errors
from layerscope_api.dependencies import ServiceDependency
from layerscope_api.inference_protocol.models import index
from layerscope_api.inference_protocol.schemas import RepositoryModel
from layerscope_api.security import INFER

router = APIRouter(prefix="/v2/repository", tags=["inference protocol"])


@router.post("/index", response_model=list[RepositoryModel], responses=errors(408, 413), dependencies=[INFER])
async def repository_index(request: Request, service: ServiceDependency) -> object:
    """Every version of every model and its state; with `{"ready": true}` only those that can be asked."""
    asked = _object(await request.body())
    return index(list(service.engine.catalogue()), only_ready=asked.get("ready") is True)


def _object(body: bytes) -> dict[str, Any]:
    """What the body asks; clients send none, or an empty one."""
    try:
        document = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("The body must be empty or a JSON object.") from error
    if not isinstance(document, dict):
        raise InvalidRequest("The body must be empty or a JSON object.")
    return document
