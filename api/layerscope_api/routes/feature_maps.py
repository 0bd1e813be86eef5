"""Feature maps: the channels of one layer as a picture."""

from collections.abc import Sequence

import numpy as np
from fastapi import APIRouter, Request, Response

from layerscope.activations import Activation
from layerscope.channels import ChannelSelection
from layerscope.execution.engine import Query, Result
from layerscope.graph.selectors import require_one
from layerscope.limits import Limits
from layerscope.render import Picture, PictureFormat, PictureOptions, building_bytes, measure, render, tiles
from layerscope.render.layout import require_room
from layerscope.tensor_specs import TensorSpec
from layerscope_api.answers import Answer, respond, timed
from layerscope_api.callers import IsWanted
from layerscope_api.contract import NOT_MODIFIED, PICTURE, RUN_ERRORS, query, query_and_body
from layerscope_api.dependencies import ModelReference, Service, ServiceDependency
from layerscope_api.options import FeatureMapOptions
from layerscope_api.pictures import about_layer, picture_answer, picture_format
from layerscope_api.requests import Asked, read_request
from layerscope_api.security import INFER

router = APIRouter(prefix="/v1/models", tags=["pictures"], dependencies=[INFER])


@router.get(
    "/{model}/feature-map.png",
    response_class=Response,
    responses={**PICTURE, **RUN_ERRORS, **NOT_MODIFIED},
    openapi_extra=query(FeatureMapOptions),
)
async def get_feature_map(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
    """Draw channels of one layer for a stored image."""
    return await _feature_map(model, request, service)


@router.post(
    "/{model}/feature-map.png",
    response_class=Response,
    responses={**PICTURE, **RUN_ERRORS},
    openapi_extra=query_and_body(FeatureMapOptions),
)
async def post_feature_map(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
    """Draw channels of one layer for the image in the body."""
    return await _feature_map(model, request, service)


async def _feature_map(model: str, request: Request, service: Service) -> Response:
    asked = await read_request(request, FeatureMapOptions, service.limits)
    form = picture_format(request)
    return await respond(
        request, service, model, asked, lambda is_wanted: _answer(service, model, asked, form, is_wanted)
    )


def _answer(
    service: Service, model: str, asked: Asked[FeatureMapOptions], form: PictureFormat, is_wanted: IsWanted
) -> Answer:
    options = asked.options
    channels, look = options.selected_channels(), options.picture_options()

    def admit(specs: Sequence[TensorSpec]) -> int:
        require_one(options.layer, [spec.address for spec in specs], "a picture shows one")
        return drawing_bytes(specs[0], options, service.limits)

    sources = asked.sources(service.images, service.limits)
    query = Query(model=model, sources=sources, layers=[options.layer], admit=admit, is_wanted=is_wanted)
    with service.engine.admitted(query) as result:
        ((address, activation),) = result.activations.items()
        picture, seconds = timed(lambda: _draw(service, result, activation.select(channels), look, form))
        return picture_answer(picture, result, address, seconds)


def drawing_bytes(whole: TensorSpec, options: FeatureMapOptions, limits: Limits) -> int:
    """The bytes of memory that drawing a layer takes, told from its shape alone.

    Raises:
        LayerscopeError: it cannot be drawn, or would be too large.
    """
    channels, look = options.selected_channels(), options.picture_options()
    selection, drawn = ChannelSelection.parse(channels), whole.select(channels)
    images, *shape = drawn.shape
    nothing = np.broadcast_to(np.float32(0), shape)
    axis = _channel_axis(drawn.channel_axis, len(shape), is_whole=selection.is_all)
    count, height, width = tiles(nothing, axis).shape
    layout = measure((images * count, height, width), look, _widest_name(whole, selection, count))
    require_room(layout, limits.picture_pixels)
    return building_bytes(layout, drawn.size if selection.top is None else whole.size)


def _widest_name(whole: TensorSpec, selection: ChannelSelection, tiles_an_image: int) -> list[str] | None:
    """The widest that `_names` can give; None where it leaves the tiles to be numbered."""
    if selection.is_all or selection.count(whole.channels) != tiles_an_image:
        return None
    return [str(max(selection.listed, default=whole.channels - 1))]


def _draw(
    service: Service, result: Result, activation: Activation, look: PictureOptions, form: PictureFormat
) -> Picture:
    """All images of the batch, one after the other, each with its channels in order."""
    address = activation.tap.address
    rank = activation.values.ndim - 1
    axis = _channel_axis(activation.channel_axis, rank, is_whole=activation.channels is None)
    maps = np.concatenate([tiles(image, axis) for image in activation.values])
    about, names = about_layer(result.model, address), _names(activation, len(maps))
    return render(maps, look, limits=service.limits, names=names, about=about, form=form)


def _channel_axis(axis: int | None, rank: int, *, is_whole: bool) -> int | None:
    """The channel axis of one image. A sequence of vectors is one matrix, unless some of its channels were chosen."""
    is_sequence = rank == 2 and is_whole
    return None if axis is None or is_sequence else axis - 1


def _names(activation: Activation, tiles_drawn: int) -> list[str] | None:
    """Each tile's channel, where there is one tile a channel."""
    if activation.channels is None or activation.channels.size == 0:
        return None
    channels = np.broadcast_to(activation.channels, (len(activation.values), activation.channels.shape[-1]))
    return [str(channel) for channel in channels.flat] if channels.size == tiles_drawn else None
