"""Statistics: the distribution of the values of layers, as numbers and as one picture of the whole network."""

from fastapi import APIRouter, Response

from layerscope.execution.interface import Query, QueryPlan, Result
from layerscope_api.context.scopes import INFER
from layerscope_api.responses.images import encoded_picture_body, picture_format
from layerscope_api.responses.respond import ResponseBody, json_body
from layerscope_api.routes.endpoint import Endpoint
from layerscope_api.schemas.openapi import PICTURE, RUN_ERRORS
from layerscope_api.schemas.options import LayersOptions, StatisticsOptions
from layerscope_api.schemas.results import StatisticsBody
from layerscope_api.serializers.statistics import (
    render_statistics,
    statistics_bytes,
    statistics_json,
    statistics_picture_bytes,
)

router = APIRouter(prefix="/v1/models", tags=["statistics"], dependencies=[INFER])


class Statistics(Endpoint[StatisticsOptions]):
    """The statistics of layers and channels."""

    options_model = StatisticsOptions

    def query(self) -> Query:
        """The selected layers."""
        return self.query_of(layers=self.options.layers)

    def admit(self, plan: QueryPlan) -> int:
        """Check that there are not too many numbers for one answer."""
        return statistics_bytes(plan.specs, self.options, self.limits)

    def make(self, result: Result) -> ResponseBody:
        """The statistics as JSON."""
        return json_body(statistics_json(result, self.options), result)


class StatisticsPicture(Endpoint[LayersOptions]):
    """The distribution of the values of each layer, as a picture with one row a layer."""

    options_model = LayersOptions

    def query(self) -> Query:
        """The selected layers."""
        return self.query_of(layers=self.options.layers)

    def admit(self, plan: QueryPlan) -> int:
        """Check that the picture is not too large."""
        return statistics_picture_bytes(plan.specs, self.limits)

    def make(self, result: Result) -> ResponseBody:
        """Draw the picture."""
        form = picture_format(self.accept)
        data = render_statistics(result, self.limits, form)
        return encoded_picture_body(data, form, result.model, result.activations)


Statistics.register(
    router,
    "/{model}/statistics",
    "statistics",
    get="Figures of layers and channels over stored images.",
    post="Figures of layers and channels over the images in the body.",
    response_model=StatisticsBody,
    responses=RUN_ERRORS,
)
StatisticsPicture.register(
    router,
    "/{model}/statistics.png",
    "statistics_picture",
    get="Draw what the values of each layer are like over stored images.",
    post="Draw what the values of each layer are like over the images in the body.",
    response_class=Response,
    response_model=None,
    responses={**PICTURE, **RUN_ERRORS},
)
