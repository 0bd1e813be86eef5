"""Feature maps: the channels of layers as a picture, and the sprite atlas with the box of each map in it."""

from fastapi import APIRouter, Response

from layerscope.execution.interface import Query, QueryPlan, Result
from layerscope_api.context.scopes import INFER
from layerscope_api.responses.images import picture_body, picture_format
from layerscope_api.responses.respond import ResponseBody, json_body
from layerscope_api.routes.endpoint import Endpoint
from layerscope_api.schemas.openapi import PICTURE, RUN_ERRORS
from layerscope_api.schemas.picture_options import FeatureMapOptions
from layerscope_api.schemas.sprite_atlas import AtlasBody
from layerscope_api.serializers.feature_map import render_feature_map, rendering_bytes
from layerscope_api.serializers.sprite_atlas import atlas_bytes, atlas_json
from layerscope_api.serializers.token_names import drawn_tokens

router = APIRouter(prefix="/v1/models", tags=["pictures"], dependencies=[INFER])


class FeatureMap(Endpoint[FeatureMapOptions]):
    """The channels of layers as a picture."""

    options_model = FeatureMapOptions

    def query(self) -> Query:
        """The layers of the picture."""
        return self.query_of(layers=[self.options.layer])

    def admit(self, plan: QueryPlan) -> int:
        """Check that the layers can be drawn and that the picture is not too large."""
        return rendering_bytes(plan.specs, self.options, self.limits)

    def make(self, result: Result) -> ResponseBody:
        """Draw the picture."""
        layers = result.activations
        form = picture_format(self.accept)
        tokens = drawn_tokens(layers.tokens, result.model.tokenizer)
        picture = render_feature_map(result.model, layers.values(), self.options, self.limits, form, tokens)
        return picture_body(picture, result, list(layers))


class SpriteAtlas(FeatureMap):
    """The atlas of the picture that the same options give."""

    def admit(self, plan: QueryPlan) -> int:
        """Check that the layers can be drawn and that the atlas is not too long."""
        return atlas_bytes(plan.specs, self.options, self.limits)

    def make(self, result: Result) -> ResponseBody:
        """The atlas as JSON."""
        return json_body(atlas_json(result, self.options, self.limits), result)


FeatureMap.register(
    router,
    "/{model}/feature-map.png",
    "feature_map",
    get="Draw channels of layers for stored images.",
    post="Draw channels of layers for the images in the body.",
    response_class=Response,
    response_model=None,
    responses={**PICTURE, **RUN_ERRORS},
)
SpriteAtlas.register(
    router,
    "/{model}/feature-map.json",
    "atlas",
    get="Tell what lies where in the picture of the same options: each map's box, layer, image, channel and range.",
    post="Tell what lies where in the picture of the same options, for the images in the body.",
    response_model=AtlasBody,
    responses=RUN_ERRORS,
)
