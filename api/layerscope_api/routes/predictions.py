"""Predictions: the most likely classes."""

from fastapi import APIRouter

from layerscope.execution.interface import Query, QueryPlan, Result
from layerscope_api.context.scopes import INFER
from layerscope_api.responses.respond import ResponseBody, json_body
from layerscope_api.routes.endpoint import Endpoint
from layerscope_api.schemas.openapi import RUN_ERRORS
from layerscope_api.schemas.options import PredictionOptions
from layerscope_api.schemas.results import PredictionsBody
from layerscope_api.serializers.predictions import prediction_bytes, predictions_json

router = APIRouter(prefix="/v1/models", tags=["predictions"], dependencies=[INFER])


class Predictions(Endpoint[PredictionOptions]):
    """The most likely classes of each output."""

    options_model = PredictionOptions

    def query(self) -> Query:
        """The outputs of the model."""
        return self.query_of(layers=["outputs"])

    def admit(self, plan: QueryPlan) -> int:
        """Sorting the values and writing the classes takes memory."""
        return sum(prediction_bytes(spec, self.options.top) for spec in plan.specs)

    def make(self, result: Result) -> ResponseBody:
        """The classes as JSON."""
        return json_body(predictions_json(result, self.options.top), result)


Predictions.register(
    router,
    "/{model}/predictions",
    "predictions",
    get="The most likely classes of stored images.",
    post="The most likely classes of the images in the body.",
    response_model=PredictionsBody,
    responses=RUN_ERRORS,
)
