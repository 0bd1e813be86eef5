"""Data sets: lists of images that are frozen under a name, by which requests and jobs name them."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from layerscope import __version__
from layerscope.errors import NoPicture, TooMany
from layerscope.execution.inputs import ImageSource
from layerscope.images import decode, thumbnail
from layerscope.limits import Limits
from layerscope_api.context.account import account_of
from layerscope_api.context.scopes import DATASETS_WRITE, INFER
from layerscope_api.context.service import ServiceDependency
from layerscope_api.requests.body import read_json
from layerscope_api.responses.caching import is_valid
from layerscope_api.responses.respond import json_response
from layerscope_api.schemas.data_sets import (
    DataSetBody,
    DataSetImageBody,
    DataSetImages,
    DataSetList,
    Registration,
)
from layerscope_api.schemas.media_types import JSON_TYPE
from layerscope_api.schemas.openapi import LOCATION, NOT_MODIFIED, PNG_TYPE, THUMBNAIL, errors
from layerscope_api.serializers.data_sets import (
    data_set_body,
    data_set_image_body,
    data_set_images,
    data_set_list,
    undecoded_body,
)

router = APIRouter(prefix="/v1/datasets", tags=["data sets"])

Name = Annotated[str, Path(description="the name of a data set", max_length=64)]
Number = Annotated[int, Path(description="of the image, from 0 on", ge=0, le=2**31 - 1)]
Start = Annotated[int, Query(ge=0, le=2**31 - 1, description="how many to leave out")]
PageLength = Annotated[
    int | None,
    Query(ge=1, description="most entries of the answer, up to the limit `page_rows`; by default 100"),
]

_PAGE_LENGTH = 100

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {JSON_TYPE: {"schema": Registration.model_json_schema()}},
    }
}


@router.post(
    "",
    status_code=201,
    dependencies=[DATASETS_WRITE],
    response_model=DataSetBody,
    responses={
        201: {"description": "It is registered", "headers": LOCATION},
        200: {"model": DataSetBody, "description": "It was registered already", "headers": LOCATION},
        **errors(400, 404, 406, 409, 413, 415, 422, 429, 503, 507),
    },
    openapi_extra=_BODY,
)
async def register_data_set(request: Request, service: ServiceDependency) -> Response:
    """Freeze the list of images of a data set under a name. A name keeps its images: those of another list are refused."""
    asked = await read_json(request, Registration, service.limits, service.request_pool.run)

    def registered() -> tuple[Response, bool]:
        found, is_new = service.catalog.register(asked.name, asked.data, asked.labels)
        return json_response(data_set_body(found.record)), is_new

    response, is_new = await service.admin_pool.run(registered)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/datasets/{asked.name}"
    return response


@router.get("", dependencies=[INFER], responses=errors(406, 409, 413, 422, 429, 503))
async def list_data_sets(
    service: ServiceDependency, start: Start = 0, limit: PageLength = None
) -> DataSetList:
    """Every data set by name, in pages."""
    end = start + _page_length(limit, service.limits)

    def listed() -> DataSetList:
        names = service.catalog.names()
        return data_set_list(service.catalog.records(names[start:end]), end, len(names))

    return await service.request_pool.run(listed)


@router.get(
    "/{name}",
    dependencies=[INFER],
    response_model=DataSetBody,
    responses=errors(404, 406, 409, 422, 429, 503),
)
async def describe_data_set(name: Name, service: ServiceDependency) -> Response:
    """What is known of a data set: its digest, and how many images have each label."""
    return await service.request_pool.run(
        lambda: json_response(data_set_body(service.catalog.get(name).record))
    )


@router.delete(
    "/{name}", status_code=204, dependencies=[DATASETS_WRITE], responses=errors(404, 409, 422, 429, 503)
)
async def forget_data_set(name: Name, service: ServiceDependency) -> None:
    """Forget a data set. Its images stay where they are."""
    await service.admin_pool.run(lambda: service.catalog.delete(name))


@router.get(
    "/{name}/rows",
    dependencies=[INFER],
    response_model=DataSetImages,
    responses=errors(404, 406, 409, 413, 422, 429, 503),
)
async def list_data_set_images(
    name: Name, service: ServiceDependency, start: Start = 0, limit: PageLength = None
) -> Response:
    """The images of a data set in their order, in pages: number, path, label and length."""
    count = _page_length(limit, service.limits)
    return await service.request_pool.run(
        lambda: json_response(data_set_images(service.catalog.get(name), start, count))
    )


@router.get(
    "/{name}/rows/{number}",
    dependencies=[INFER],
    response_model=DataSetImageBody,
    responses=errors(404, 406, 409, 413, 415, 422, 429, 503),
)
async def describe_data_set_image(
    name: Name, number: Number, request: Request, service: ServiceDependency
) -> Response:
    """An image of a data set: path, label, size and type."""
    account = account_of(request.scope)

    def described() -> Response:
        data_set = service.catalog.get(name)
        source = service.named_images(account).of_data_set(data_set, number)
        if not isinstance(source, ImageSource):
            return json_response(undecoded_body(data_set, number, source))
        with service.decoding(source.data, account):
            image = decode(source.data, service.limits)
        return json_response(data_set_image_body(data_set, number, image))

    return await service.request_pool.run(described)


@router.get(
    "/{name}/rows/{number}/thumbnail.png",
    dependencies=[INFER],
    response_class=Response,
    responses={**THUMBNAIL, **NOT_MODIFIED, **errors(404, 406, 409, 413, 415, 422, 429, 503)},
)
async def thumbnail_of_data_set_image(
    name: Name,
    number: Number,
    request: Request,
    service: ServiceDependency,
    side: Annotated[int, Query(ge=1, le=1024, description="longest side, in pixels")] = 128,
) -> Response:
    """A small picture of an image of a data set, made anew from its pixels."""
    account = account_of(request.scope)

    def made() -> Response:
        data_set = service.catalog.get(name)
        headers = {
            "ETag": f'W/"{__version__}-{data_set.record.digest[:32]}-{number}-{side}"',
            "Cache-Control": "private, no-cache",
        }
        source = service.named_images(account).of_data_set(data_set, number)
        if not isinstance(source, ImageSource):
            raise NoPicture(f"Number {number} of the data set {name} is no image, and has no thumbnail.")
        if is_valid(request.headers.get("if-none-match", ""), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        with service.decoding(source.data, account):
            return Response(
                thumbnail(source.data, side, service.limits), media_type=PNG_TYPE, headers=headers
            )

    return await service.request_pool.run(made)


def _page_length(asked: int | None, limits: Limits) -> int:
    """How many entries a page has.

    Raises:
        TooMany: more than `limits.page_rows` are asked for.
    """
    if asked is None:
        return min(_PAGE_LENGTH, limits.page_rows)
    if asked > limits.page_rows:
        raise TooMany(
            f"A page of {asked:,} rows is longer than {limits.page_rows:,}",
            ways=("ask for several pages (start=)",),
            rows=asked,
            limit=limits.page_rows,
        )
    return asked
