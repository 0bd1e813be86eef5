"""Uploads: model files that clients send, and versions that they remove."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool

from layerscope.models.commit import Commit
from layerscope_api.context.scopes import MODELS_WRITE
from layerscope_api.context.service import ModelReference, ServiceDependency
from layerscope_api.requests.model_upload import FILE_TYPES, UploadOptions, receive
from layerscope_api.schemas.media_types import FORM_TYPE
from layerscope_api.schemas.models import UploadBody
from layerscope_api.schemas.openapi import errors
from layerscope_api.serializers.models import upload_body

router = APIRouter(prefix="/v1/models", tags=["models"], dependencies=[MODELS_WRITE])

_BINARY = {"type": "string", "format": "binary"}
_FIELDS = UploadOptions.model_json_schema()["properties"]
_FORM = {"type": "object", "properties": {"model": _BINARY, **_FIELDS}, "required": ["model", "name"]}
_BODY: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "query", "description": field.pop("description"), "schema": field}
        for name, field in UploadOptions.model_json_schema()["properties"].items()
    ],
    "requestBody": {
        "required": True,
        "content": {**{each: {"schema": _BINARY} for each in FILE_TYPES}, FORM_TYPE: {"schema": _FORM}},
    },
}


@router.post(
    "",
    status_code=201,
    responses={
        200: {"model": UploadBody, "description": "It is there already"},
        **errors(400, 406, 409, 413, 415, 422, 429, 503, 507),
    },
    openapi_extra=_BODY,
)
async def add_model(request: Request, response: Response, service: ServiceDependency) -> UploadBody:
    """Send a model file, `.keras` or `.h5`: it is checked, tried, stored as the next version of its name, and loaded.

    The same file with the same declaration again is the version that it was. What is answered with 504 is not stored.
    Needs `--allow-upload`.
    """
    models, limits = service.engine.models, service.limits
    async with contextmanager_in_threadpool(models.receiving()) as incoming:
        options, file = await receive(request, incoming, limits)
        commit = Commit()
        added = await service.admin_pool.run(
            lambda: models.add(file, options.name, options.manifest(), load=options.load, commit=commit),
            # The pool's own seconds are for one opening; before it comes the check, and behind it the loading.
            extra_seconds=limits.model_check_seconds + limits.model_open_seconds,
            give_up=commit.give_up,
        )
    response.status_code = 201 if added.is_new else 200
    source = added.entry.source
    response.headers["Location"] = f"/v1/models/{source.name}@{source.version}"
    return upload_body(added)


@router.delete("/{model}", status_code=204, responses=errors(404, 409, 422, 429, 503, 507))
async def remove_model(model: ModelReference, service: ServiceDependency) -> None:
    """Remove a version that was sent, `name@version`, from memory and from the disk. Its number is not given again."""
    await service.admin_pool.run(lambda: service.engine.models.remove(model))
