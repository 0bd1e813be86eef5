"""Attributions: where in an image the reasons for an output lie."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from layerscope import encode
from layerscope.attribution import METHODS, method_of
from layerscope.encode import Format
from layerscope.errors import OptionInvalid
from layerscope.execution.interface import Progress, Query, QueryPlan
from layerscope.execution.overlay_background import Ground
from layerscope.render import PictureFormat, overlay, overlay_bytes, overlay_layout
from layerscope.render.layout import require_fits
from layerscope.tensors.options import TensorOptions
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ModelReference, Service, ServiceDependency
from layerscope_api.requests.body import Asked, read_request
from layerscope_api.responses.content_negotiation import format_for
from layerscope_api.responses.event_stream import STREAMS, StreamedAnswer, stream_for
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.images import picture_answer, picture_format
from layerscope_api.responses.respond import Answer, ascii_address, respond
from layerscope_api.schemas.attribution_options import (
    HeatMapOptions,
    HeatPictureOptions,
    method_options,
    options_of,
    options_of_all,
)
from layerscope_api.schemas.attributions import AttributionBody, MethodList
from layerscope_api.schemas.openapi import (
    NOT_MODIFIED,
    PICTURE,
    RUN_ERRORS,
    TENSORS,
    Responses,
    errors,
    query,
    query_and_body,
)
from layerscope_api.serializers.attributions import attribution_metadata, method_list, picture_metadata

router = APIRouter(prefix="/v1", tags=["attributions"], dependencies=[INFER])

MethodName = Annotated[
    str, Path(description="how; see /v1/attributions", json_schema_extra={"enum": [*METHODS]})
]

_RESPONSES: Responses = {
    **RUN_ERRORS,
    200: {
        "description": "The heat maps, in the format asked for, or as a stream of progress with JSON at its end",
        "content": {**TENSORS[200]["content"], **{each: {"schema": {"type": "string"}} for each in STREAMS}},
    },
}
_MAPS, _PICTURES = options_of_all(HeatMapOptions), options_of_all(HeatPictureOptions)


@router.get("/attributions", responses=errors())
async def attributions() -> MethodList:
    """Every attribution method, with its options, its cost and its paper."""
    return method_list()


@router.get(
    "/models/{model}/attributions/{method}.png",
    response_class=Response,
    responses={**PICTURE, **RUN_ERRORS, **NOT_MODIFIED},
    openapi_extra=query(_PICTURES),
)
async def get_attribution_picture(
    model: ModelReference, method: MethodName, request: Request, service: ServiceDependency
) -> Response:
    """Draw a heat map over a stored image."""
    return await _picture(model, method, request, service)


@router.post(
    "/models/{model}/attributions/{method}.png",
    response_class=Response,
    responses={**PICTURE, **RUN_ERRORS},
    openapi_extra=query_and_body(_PICTURES),
)
async def post_attribution_picture(
    model: ModelReference, method: MethodName, request: Request, service: ServiceDependency
) -> Response:
    """Draw a heat map over the image in the body."""
    return await _picture(model, method, request, service)


@router.get(
    "/models/{model}/attributions/{method}",
    response_model=AttributionBody,
    responses={**_RESPONSES, **NOT_MODIFIED},
    openapi_extra=query(_MAPS),
)
async def get_attribution(
    model: ModelReference, method: MethodName, request: Request, service: ServiceDependency
) -> Response:
    """The heat maps of stored images."""
    return await _maps(model, method, request, service)


@router.post(
    "/models/{model}/attributions/{method}",
    response_model=AttributionBody,
    responses=_RESPONSES,
    openapi_extra=query_and_body(_MAPS),
)
async def post_attribution(
    model: ModelReference, method: MethodName, request: Request, service: ServiceDependency
) -> Response:
    """The heat maps of the images in the body."""
    return await _maps(model, method, request, service)


async def _maps(model: str, name: str, request: Request, service: Service) -> Response:
    asked = await read_request(request, options_of(method_of(name), HeatMapOptions), service.limits)
    accept = request.headers.get("accept")
    if stream := stream_for(accept):
        _require_json(asked.options)
        service.engine.describe(model)

        def answer(execution: Execution, progress: Progress) -> Answer:
            return _encoded(service, model, name, asked, "json", execution, progress)

        return StreamedAnswer(request, service.request_pool, answer, stream, service.attribution_seconds)
    form = format_for(accept, asked.options.format)
    return await respond(
        request,
        service,
        model,
        asked,
        lambda execution: _encoded(service, model, name, asked, form, execution),
        service.attribution_seconds,
    )


def _require_json(options: HeatMapOptions) -> None:
    if options.format not in {None, "json"}:
        raise OptionInvalid(
            f"A stream ends with JSON, which format={options.format} is not.", option="format"
        )


async def _picture(model: str, name: str, request: Request, service: Service) -> Response:
    asked = await read_request(request, options_of(method_of(name), HeatPictureOptions), service.limits)
    form = picture_format(request)
    return await respond(
        request,
        service,
        model,
        asked,
        lambda execution: _drawn(service, model, name, asked, form, execution),
        service.attribution_seconds,
    )


def _encoded(
    service: Service,
    model: str,
    name: str,
    asked: Asked[HeatMapOptions],
    form: Format,
    execution: Execution,
    progress: Progress | None = None,
) -> Answer:
    method, values, limits = method_of(name), asked.options.values, service.limits

    def answer_bytes(plan: QueryPlan) -> int:
        specs = [plan.map_of(name)]
        encode.require_fits(specs, form, limits, values=values)
        return encode.building_bytes(specs, TensorOptions(), form, values=values)

    query = Query(
        model=model,
        sources=asked.sources(service.images, limits),
        methods={name: method_options(method, asked.options)},
    )
    with execution.run(service.engine, query, answer_bytes, progress) as result:
        found = result.attribution(name)
        maps, metadata = found.activations, attribution_metadata(found, values=values)
        encoded = execution.encoded(lambda: encode.encode(maps, form, metadata, limits))
        headers = {"X-Layer": ascii_address(found.place.address)}
        return Answer(encoded.buffers, encoded.media_type, found.model, maps, headers)


def _drawn(
    service: Service,
    model: str,
    name: str,
    asked: Asked[HeatPictureOptions],
    form: PictureFormat,
    execution: Execution,
) -> Answer:
    method, options, limits = method_of(name), asked.options, service.limits
    look, sources = options.picture_options(), asked.sources(service.images, limits)
    ground = Ground(service.engine.describe(model), sources, limits, on=options.on, input_name=options.input)
    layout = overlay_layout(ground.size, look)

    def answer_bytes(plan: QueryPlan) -> int:
        maps = plan.map_of(name)
        require_fits(layout, limits.picture_pixels)
        return overlay_bytes(layout) + 8 * maps.size

    query = Query(model=model, sources=sources, methods={name: method_options(method, options)})
    with execution.run(service.engine, query, answer_bytes) as result:
        found = result.attribution(name)
        picture = execution.encoded(
            lambda: overlay(
                found.maps[0],
                ground.background(),
                look,
                limits=limits,
                alpha=options.alpha,
                interpolation=options.interpolation,
                metadata=picture_metadata(found),
                form=form,
            )
        )
        return picture_answer(picture, found, [found.place.address])
