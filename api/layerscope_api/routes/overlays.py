"""Overlays: a feature map that is drawn over the image."""

from fastapi import APIRouter, Response

from layerscope.execution.interface import Query, QueryPlan, Result
from layerscope_api.context.scopes import INFER
from layerscope_api.responses.images import picture_body, picture_format
from layerscope_api.responses.respond import ResponseBody
from layerscope_api.routes.endpoint import Endpoint
from layerscope_api.schemas.openapi import PICTURE, RUN_ERRORS
from layerscope_api.schemas.picture_options import OverlayOptions
from layerscope_api.serializers.models import layers_metadata
from layerscope_api.serializers.overlay import Overlay, map_of, require_one_map

router = APIRouter(prefix="/v1/models", tags=["pictures"], dependencies=[INFER])


class FeatureMapOverlay(Endpoint[OverlayOptions]):
    """A feature map over the image."""

    options_model = OverlayOptions

    def query(self) -> Query:
        """The layer of the map."""
        return self.query_of(layers=[self.options.layer])

    def admit(self, plan: QueryPlan) -> int:
        """Check that there is one map, one image, and that the picture is not too large."""
        require_one_map(plan.specs, self.options.layer, self.options.channel)
        pictured = plan.pictured.get(plan.specs[0].address)
        self._overlay = Overlay(plan.model, self.sources, self.options, self.limits, pictured)
        return self._overlay.rendering_bytes(plan.specs[0])

    def make(self, result: Result) -> ResponseBody:
        """Draw the picture."""
        ((address, activation),) = result.activations.items()
        drawn = map_of(activation, self.options.channel)
        metadata = layers_metadata(result.model, [address])
        picture = self._overlay.render(drawn, metadata, picture_format(self.accept))
        return picture_body(picture, result, [address])


FeatureMapOverlay.register(
    router,
    "/{model}/overlay.png",
    "overlay",
    get="Draw a feature map over a stored image.",
    post="Draw a feature map over the image in the body.",
    response_class=Response,
    response_model=None,
    responses={**PICTURE, **RUN_ERRORS},
)
