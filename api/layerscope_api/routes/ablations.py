"""Ablations: what each channel, place or layer does for an output, found by taking one after the other away."""

from fastapi import APIRouter, Response

from layerscope.encode import building_bytes, encode, require_fits
from layerscope.execution.interface import Partial, Query, QueryPlan, Result
from layerscope.tensors.options import TensorOptions
from layerscope_api.context.scopes import INFER
from layerscope_api.requests.edits import with_sweep
from layerscope_api.responses.event_stream import STREAMS, Events
from layerscope_api.responses.images import encoded_picture_body, picture_body, picture_format
from layerscope_api.responses.respond import ResponseBody, json_body
from layerscope_api.routes.endpoint import Endpoint
from layerscope_api.routes.streaming_endpoint import StreamingEndpoint
from layerscope_api.schemas.ablation_options import AblationPictureOptions, AblationTensorOptions, sweep_of
from layerscope_api.schemas.ablations import AblationBody
from layerscope_api.schemas.openapi import PICTURE, RUN_ERRORS, TENSORS, Responses
from layerscope_api.serializers.ablations import (
    ablation_bytes,
    ablation_json,
    bars_bytes,
    effects_metadata,
    effects_of,
    effects_spec,
    grid_of,
    partial_json,
    plan_of_sweep,
    render_bars,
    require_one_image,
    sweep_metadata,
)
from layerscope_api.serializers.overlay import Overlay

router = APIRouter(prefix="/v1/models", tags=["ablations"], dependencies=[INFER])

_RESPONSES: Responses = {
    **RUN_ERRORS,
    200: {
        "description": "The effects, in the format asked for, or as a stream of progress and of effects that are known by then"
        " (`partial`), with JSON at its end",
        "content": {**TENSORS[200]["content"], **{each: {"schema": {"type": "string"}} for each in STREAMS}},
    },
}


class Ablation(StreamingEndpoint[AblationTensorOptions]):
    """The effect of each unit as numbers."""

    options_model = AblationTensorOptions

    def query(self) -> Query:
        """The sweep."""
        return with_sweep(self.query_of(), sweep_of(self.options), self.images)

    def partial(self, events: Events) -> Partial:
        """Send the effects that are known."""
        return lambda found: events.partial(lambda: partial_json(found))

    def admit(self, plan: QueryPlan) -> int:
        """Check that the format can carry the effects."""
        specs = [effects_spec(plan)]
        require_fits(specs, self.format, self.limits)
        return ablation_bytes(plan) + building_bytes(specs, TensorOptions(), self.format)

    def make(self, result: Result) -> ResponseBody:
        """Encode the effects."""
        if self.format == "json":
            return json_body(ablation_json(result, self.options.metric, self.options.top), result)
        effects = effects_of(result, self.options.metric)
        encoded = encode(effects, self.format, effects_metadata(result), self.limits)
        return ResponseBody(encoded.buffers, encoded.media_type, result.model, result.activations)


class AblationPicture(Endpoint[AblationPictureOptions]):
    """The effects as a picture: bars of channels or layers, or a grid of places over the image."""

    options_model = AblationPictureOptions

    @property
    def extra_seconds(self) -> float:
        """Sweeps take many runs of the model."""
        return self.service.attribution_seconds

    def query(self) -> Query:
        """The sweep."""
        return with_sweep(self.query_of(), sweep_of(self.options), self.images)

    def admit(self, plan: QueryPlan) -> int:
        """Check that there is one image, and that the picture is not too large."""
        require_one_image(plan)
        if self.options.by != "place":
            return bars_bytes(plan, self.options.top, self.limits)
        pictured = plan.pictured.get(plan_of_sweep(plan).layers[0].address)
        self._overlay = Overlay(plan.model, self.sources, self.options, self.limits, pictured)
        return self._overlay.rendering_bytes(effects_spec(plan))

    def make(self, result: Result) -> ResponseBody:
        """Draw the picture."""
        form, metric = picture_format(self.accept), self.options.metric
        if self.options.by != "place":
            data = render_bars(result, metric, self.options.top, self.limits, form)
            return encoded_picture_body(data, form, result.model, result.activations)
        picture = self._overlay.render(grid_of(result, metric), sweep_metadata(result, metric), form)
        return picture_body(picture, result, [])


Ablation.register(
    router,
    "/{model}/ablations",
    "ablations",
    get="What each channel, place or layer does for an output of stored images.",
    post="What each channel, place or layer does for an output of the images in the body.",
    response_model=AblationBody,
    responses=_RESPONSES,
)
AblationPicture.register(
    router,
    "/{model}/ablations.png",
    "ablations_picture",
    get="Draw what each channel, place or layer does for an output of a stored image.",
    post="Draw what each channel, place or layer does for an output of the image in the body.",
    response_class=Response,
    response_model=None,
    responses={**PICTURE, **RUN_ERRORS},
)
