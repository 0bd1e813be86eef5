"""Attributions: heat maps of the parts of an image that an output depends on."""

from functools import cached_property
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response

from layerscope.attribution import METHODS, Method, method_of
from layerscope.encode import building_bytes, encode, require_fits
from layerscope.execution.interface import Query, QueryPlan, Result
from layerscope.tensors.options import TensorOptions
from layerscope_api.context.scopes import INFER
from layerscope_api.responses.event_stream import STREAMS
from layerscope_api.responses.images import picture_body, picture_format
from layerscope_api.responses.respond import ResponseBody, ascii_address
from layerscope_api.routes.endpoint import Endpoint
from layerscope_api.routes.streaming_endpoint import StreamingEndpoint
from layerscope_api.schemas.attribution_options import (
    HeatMapOptions,
    HeatPictureOptions,
    method_options,
    options_of,
    options_of_all,
)
from layerscope_api.schemas.attributions import AttributionBody, MethodList
from layerscope_api.schemas.openapi import PICTURE, RUN_ERRORS, TENSORS, Responses, errors
from layerscope_api.schemas.options import ImageOptions, RunOptions
from layerscope_api.serializers.attributions import attribution_metadata, method_list, picture_metadata
from layerscope_api.serializers.map_picture import heat_picture
from layerscope_api.serializers.sentences import are_sentences, render_sentences, sentences_bytes

router = APIRouter(prefix="/v1", tags=["attributions"], dependencies=[INFER])

Options = TypeVar("Options", bound=RunOptions)

_METHOD: dict[str, Any] = {
    "name": "method",
    "in": "path",
    "required": True,
    "description": "how; see /v1/attributions",
    "schema": {
        "type": "string",
        "title": "Method",
        "description": "how; see /v1/attributions",
        "enum": [*METHODS],
    },
}
_RESPONSES: Responses = {
    **RUN_ERRORS,
    200: {
        "description": "The heat maps, in the format asked for, or as a stream of progress with JSON at its end",
        "content": {**TENSORS[200]["content"], **{each: {"schema": {"type": "string"}} for each in STREAMS}},
    },
}


@router.get("/attributions", responses=errors(406))
async def attributions() -> MethodList:
    """Every attribution method, with its options, its cost and its paper."""
    return method_list()


class _Attribution(Endpoint[Options]):
    """What both resources of an attribution have in common: the path names the method, and the method has options."""

    @classmethod
    def request_options(cls, request: Request) -> type[ImageOptions]:
        """The options of the answer and of the method in the path."""
        return options_of(method_of(request.path_params["method"]), cls.options_model)

    @classmethod
    def documented_options(cls) -> type[ImageOptions]:
        """The options of the answer and of all methods."""
        return options_of_all(cls.options_model)

    @cached_property
    def method(self) -> Method:
        """The method in the path."""
        return method_of(self.request.path_params["method"])

    @property
    def extra_seconds(self) -> float:
        """Attributions take many runs of the model."""
        return self.service.attribution_seconds

    def query(self) -> Query:
        """The heat maps of the method."""
        methods = {self.method.name: method_options(self.method, self.options)}
        return self.query_of(methods=methods)


class HeatMaps(_Attribution[HeatMapOptions], StreamingEndpoint[HeatMapOptions]):
    """Heat maps as tensors, or as a stream of progress that ends with their JSON."""

    options_model = HeatMapOptions

    def admit(self, plan: QueryPlan) -> int:
        """Check that the format can carry the heat maps."""
        specs, values = [plan.map_of(self.method.name)], self.options.values
        require_fits(specs, self.format, self.limits, values=values)
        return building_bytes(specs, TensorOptions(), self.format, values=values)

    def make(self, result: Result) -> ResponseBody:
        """Encode the heat maps."""
        found = result.attribution(self.method.name)
        metadata = attribution_metadata(found, values=self.options.values)
        encoded = encode(found.activations, self.format, metadata, self.limits)
        headers = {"X-Layer": ascii_address(found.target_layer.address)}
        return ResponseBody(encoded.buffers, encoded.media_type, found.model, found.activations, headers)


class HeatMapPicture(_Attribution[HeatPictureOptions]):
    """A heat map over the input."""

    options_model = HeatPictureOptions

    def admit(self, plan: QueryPlan) -> int:
        """Check that there is one image, unless there are texts, and that the picture is not too large."""
        spec = plan.map_of(self.method.name)
        if are_sentences(spec, self.sources):
            return sentences_bytes(spec)
        self._picture = heat_picture(plan, spec, self.sources, self.options, self.limits)
        return self._picture.rendering_bytes(spec)

    def make(self, result: Result) -> ResponseBody:
        """Draw the picture."""
        found = result.attribution(self.method.name)
        form = picture_format(self.accept)
        if are_sentences(found.activations[found.target_layer.address].spec, self.sources):
            picture = render_sentences(found, self.options, self.limits, form)
        else:
            picture = self._picture.render(found.maps[0], picture_metadata(found), form)
        return picture_body(picture, found, [found.target_layer.address])


# The path that ends in .png comes first: the other one would match it, too.
HeatMapPicture.register(
    router,
    "/models/{model}/attributions/{method}.png",
    "attribution_picture",
    get="Draw a heat map over a stored image.",
    post="Draw a heat map over the image in the body.",
    path_parameters=[_METHOD],
    response_class=Response,
    response_model=None,
    responses={**PICTURE, **RUN_ERRORS},
)
HeatMaps.register(
    router,
    "/models/{model}/attributions/{method}",
    "attribution",
    get="The heat maps of stored images.",
    post="The heat maps of the images in the body.",
    path_parameters=[_METHOD],
    response_model=AttributionBody,
    responses=_RESPONSES,
)
