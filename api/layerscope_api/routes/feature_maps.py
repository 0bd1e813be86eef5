"""Feature maps: the channels of layers as a picture, and the atlas that says what lies where in it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from fastapi import APIRouter, Request, Response

from layerscope.execution.interface import Query, Result
from layerscope.limits import Limits
from layerscope.render import Picture, PictureFormat, render_groups
from layerscope.tensors.spec import TensorSpec
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ModelReference, Service, ServiceDependency
from layerscope_api.requests.body import Asked, read_request
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.images import picture_answer, picture_format
from layerscope_api.responses.respond import Answer, respond
from layerscope_api.schemas.openapi import NOT_MODIFIED, PICTURE, RUN_ERRORS, query, query_and_body
from layerscope_api.schemas.picture_options import FeatureMapOptions
from layerscope_api.schemas.sprite_atlas import AtlasBody
from layerscope_api.serializers.feature_map import drawing_bytes, tile_group
from layerscope_api.serializers.models import layers_metadata
from layerscope_api.serializers.sprite_atlas import atlas_bytes, atlas_json

router = APIRouter(prefix="/v1/models", tags=["pictures"], dependencies=[INFER])


@router.get(
    "/{model}/feature-map.png",
    response_class=Response,
    responses={**PICTURE, **RUN_ERRORS, **NOT_MODIFIED},
    openapi_extra=query(FeatureMapOptions),
)
async def get_feature_map(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
    """Draw channels of layers for stored images."""
    return await _feature_map(model, request, service)


@router.post(
    "/{model}/feature-map.png",
    response_class=Response,
    responses={**PICTURE, **RUN_ERRORS},
    openapi_extra=query_and_body(FeatureMapOptions),
)
async def post_feature_map(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
    """Draw channels of layers for the images in the body."""
    return await _feature_map(model, request, service)


@router.get(
    "/{model}/feature-map.json",
    response_model=AtlasBody,
    responses={**RUN_ERRORS, **NOT_MODIFIED},
    openapi_extra=query(FeatureMapOptions),
)
async def get_atlas(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
    """Tell what lies where in the picture of the same options: each map's box, layer, image, channel and range."""
    return await _atlas(model, request, service)


@router.post(
    "/{model}/feature-map.json",
    response_model=AtlasBody,
    responses=RUN_ERRORS,
    openapi_extra=query_and_body(FeatureMapOptions),
)
async def post_atlas(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
    """Tell what lies where in the picture of the same options, for the images in the body."""
    return await _atlas(model, request, service)


async def _feature_map(model: str, request: Request, service: Service) -> Response:
    asked = await read_request(request, FeatureMapOptions, service.limits)
    form, options, limits = picture_format(request), asked.options, service.limits

    def answer(execution: Execution) -> Answer:
        with _run(execution, service, model, asked, drawing_bytes) as result:
            picture = execution.encoded(lambda: _draw(result, options, limits, form))
            return picture_answer(picture, result, list(result.activations))

    return await respond(request, service, model, asked, answer)


async def _atlas(model: str, request: Request, service: Service) -> Response:
    asked = await read_request(request, FeatureMapOptions, service.limits)
    options, limits = asked.options, service.limits

    def answer(execution: Execution) -> Answer:
        with _run(execution, service, model, asked, atlas_bytes) as result:
            body = execution.encoded(lambda: atlas_json(result, options, limits))
            return Answer([body], "application/json", result.model, result.activations)

    return await respond(request, service, model, asked, answer)


def _run(
    execution: Execution,
    service: Service,
    model: str,
    asked: Asked[FeatureMapOptions],
    needed: Callable[[Sequence[TensorSpec], FeatureMapOptions, Limits], int],
) -> AbstractContextManager[Result]:
    options, limits = asked.options, service.limits
    query = Query(model=model, sources=asked.sources(service.images, limits), layers=[options.layer])
    return execution.run(service.engine, query, lambda plan: needed(plan.specs, options, limits))


def _draw(result: Result, options: FeatureMapOptions, limits: Limits, form: PictureFormat) -> Picture:
    channels = options.selected_channels()
    groups = [
        tile_group(each.select(channels), labelled=options.labels) for each in result.activations.values()
    ]
    metadata = layers_metadata(result.model, list(result.activations))
    return render_groups(groups, options.picture_options(), limits=limits, metadata=metadata, form=form)
