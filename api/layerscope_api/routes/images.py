"""Stored images, which requests name by their ids."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from layerscope.images import StoredImage, thumbnail
from layerscope_api.context.account import account_of
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ServiceDependency
from layerscope_api.requests.body import read_image
from layerscope_api.schemas.media_types import (
    ANY_TYPE,
    FORM_TYPE,
    IMAGE_TYPES,
    JSON_TYPE,
    NPY_TYPE,
    TEXT_TYPE,
)
from layerscope_api.schemas.openapi import LOCATION, PNG_TYPE, TEXTS, THUMBNAIL, errors
from layerscope_api.schemas.service import ImageBody

router = APIRouter(prefix="/v1/images", tags=["images"], dependencies=[INFER])

ImageId = Annotated[str, Path(description="`sha256-` and 64 hexadecimal digits", max_length=200)]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "properties": {"image": {"type": "string", "format": "binary"}},
        "required": ["image"],
        "additionalProperties": False,
    }
}
_ID = "$response.body#/id"
_OF_IMAGE = ("describe_image", "thumbnail", "forget_image")
_RUNS_ON_IMAGE = ("get_predictions", "get_activations", "get_statistics", "get_feature_map", "get_overlay")
_STORED = {
    "headers": LOCATION,
    "links": {
        **{name: {"operationId": name, "parameters": {"image_id": _ID}} for name in _OF_IMAGE},
        **{name: {"operationId": name, "parameters": {"image": _ID}} for name in _RUNS_ON_IMAGE},
    },
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            **dict.fromkeys((*IMAGE_TYPES, NPY_TYPE, ANY_TYPE), _BINARY),
            FORM_TYPE: _FORM,
            TEXT_TYPE: {"schema": {"type": "string"}},
            JSON_TYPE: {"schema": {"type": "object", "properties": TEXTS, "additionalProperties": False}},
        },
    }
}


@router.post(
    "",
    status_code=201,
    responses={
        201: {"description": "It is stored", **_STORED},
        200: {"model": ImageBody, "description": "It was stored already", **_STORED},
        **errors(400, 406, 413, 415, 422, 429, 503, 507),
    },
    openapi_extra=_BODY,
)
async def store_image(request: Request, response: Response, service: ServiceDependency) -> ImageBody:
    """Store an image, a tensor or a text once; afterwards its id stands for it."""
    data = await read_image(request, service.limits)
    account = account_of(request.scope)

    def put() -> tuple[StoredImage, bool]:
        with service.decoding(data, account):
            return service.images.put(data)

    stored, created = await service.request_pool.run(put)
    response.status_code = 201 if created else 200
    response.headers["Location"] = f"/v1/images/{stored.id}"
    return ImageBody.model_validate(stored)


@router.get("/{image_id}", responses=errors(404, 406, 422, 429, 503))
async def describe_image(image_id: ImageId, service: ServiceDependency) -> ImageBody:
    """A stored image's size and type."""
    return ImageBody.model_validate(await service.request_pool.run(lambda: service.images.get(image_id)))


@router.delete("/{image_id}", status_code=204, responses=errors(404, 422, 429, 503))
async def forget_image(image_id: ImageId, service: ServiceDependency) -> None:
    """Forget a stored image."""
    await service.request_pool.run(lambda: service.images.delete(image_id))


@router.get(
    "/{image_id}/thumbnail.png",
    name="thumbnail",
    response_class=Response,
    responses={**THUMBNAIL, **errors(404, 406, 413, 422, 429, 503)},
)
async def thumbnail_of_image(
    image_id: ImageId,
    request: Request,
    service: ServiceDependency,
    side: Annotated[int, Query(ge=1, le=1024, description="longest side, in pixels")] = 128,
) -> Response:
    """A small picture of a stored image, made anew from its pixels."""
    account = account_of(request.scope)

    def made() -> bytes:
        stored = service.images.get(image_id)
        with service.decoding(stored.data, account):
            return thumbnail(stored.data, side, service.limits)

    png = await service.request_pool.run(made)
    return Response(png, media_type=PNG_TYPE, headers={"Cache-Control": "private, max-age=3600"})
