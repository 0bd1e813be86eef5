"""Overlays: a feature map over the picture that the model looked at."""

from collections.abc import Sequence

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray

from layerscope.errors import NoPicture
from layerscope.execution.interface import Query, QueryPlan
from layerscope.execution.overlay_background import Ground
from layerscope.graph.taps.selectors import require_one
from layerscope.render import PictureFormat, overlay, overlay_bytes, overlay_layout, tiles
from layerscope.render.layout import require_fits
from layerscope.tensors.activations import Activation
from layerscope.tensors.spec import TensorSpec
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ModelReference, Service, ServiceDependency
from layerscope_api.requests.body import Asked, read_request
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.images import picture_answer, picture_format
from layerscope_api.responses.respond import Answer, respond
from layerscope_api.schemas.openapi import NOT_MODIFIED, PICTURE, RUN_ERRORS, query, query_and_body
from layerscope_api.schemas.picture_options import OverlayOptions
from layerscope_api.serializers.models import layers_metadata

router = APIRouter(prefix="/v1/models", tags=["pictures"], dependencies=[INFER])


@router.get(
    "/{model}/overlay.png",
    response_class=Response,
    responses={**PICTURE, **RUN_ERRORS, **NOT_MODIFIED},
    openapi_extra=query(OverlayOptions),
)
async def get_overlay(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
    """Draw a feature map over a stored image."""
    return await _overlay(model, request, service)


@router.post(
    "/{model}/overlay.png",
    response_class=Response,
    responses={**PICTURE, **RUN_ERRORS},
    openapi_extra=query_and_body(OverlayOptions),
)
async def post_overlay(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
    """Draw a feature map over the image in the body."""
    return await _overlay(model, request, service)


async def _overlay(model: str, request: Request, service: Service) -> Response:
    asked = await read_request(request, OverlayOptions, service.limits)
    form = picture_format(request)
    return await respond(
        request, service, model, asked, lambda execution: _answer(service, model, asked, form, execution)
    )


def _answer(
    service: Service, model: str, asked: Asked[OverlayOptions], form: PictureFormat, execution: Execution
) -> Answer:
    options, limits = asked.options, service.limits
    look, layer, channel = options.picture_options(), options.layer, options.channel
    sources = asked.sources(service.images, limits)
    ground = Ground(service.engine.describe(model), sources, limits, on=options.on, input_name=options.input)
    layout = overlay_layout(ground.size, look)

    def answer_bytes(plan: QueryPlan) -> int:
        require_one_map(plan.specs, layer, channel)
        require_fits(layout, limits.picture_pixels)
        return overlay_bytes(layout) + 8 * plan.specs[0].size

    query = Query(model=model, sources=sources, layers=[layer])
    with execution.run(service.engine, query, answer_bytes) as result:
        ((address, activation),) = result.activations.items()
        picture = execution.encoded(
            lambda: overlay(
                map_of(activation, channel),
                ground.background(),
                look,
                limits=limits,
                alpha=options.alpha,
                interpolation=options.interpolation,
                metadata=layers_metadata(result.model, [address]),
                form=form,
            )
        )
        return picture_answer(picture, result, [address])


def require_one_map(specs: Sequence[TensorSpec], layer: str, channel: int | None) -> None:
    """Check that a selector gives one layer whose values have rows and columns.

    Raises:
        ChannelNotFound: the layer does not have that channel.
        NoPicture: the layer's values do not lie in rows and columns.
        OptionInvalid: there are several layers.
    """
    require_one(layer, [spec.address for spec in specs], "an overlay shows one")
    whole = specs[0]
    if len(whole.spatial_axes) != 2 or whole.size == 0:
        shape = list(whole.shape[1:])
        message = f"{whole.address} has values of shape {shape} an image, not rows and columns to lay over a picture."
        raise NoPicture(message, layer=whole.address, shape=shape)
    if channel is not None:
        whole.select(str(channel))


def map_of(activation: Activation, channel: int | None) -> NDArray[np.floating]:
    """One channel's map of one image; without a channel, the mean magnitude over all of them."""
    chosen = activation if channel is None else activation.select(str(channel))
    axis = None if chosen.channel_axis is None else chosen.channel_axis - 1
    maps = tiles(chosen.values[0], axis)
    only: NDArray[np.floating] = maps[0]
    return only if len(maps) == 1 else np.abs(maps).mean(axis=0, dtype=np.float32)
