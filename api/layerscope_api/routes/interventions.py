"""Interventions: what edits do to the outputs of a model and to its layers, in one summary."""

from dataclasses import replace

from fastapi import APIRouter

from layerscope.attribution.method import ScoreOptions
from layerscope.execution.interface import Query, QueryPlan, Result
from layerscope_api.context.scopes import INFER
from layerscope_api.responses.respond import ResponseBody, json_body
from layerscope_api.routes.endpoint import Endpoint
from layerscope_api.schemas.intervention_options import InterventionOptions
from layerscope_api.schemas.interventions import InterventionBody
from layerscope_api.schemas.openapi import RUN_ERRORS
from layerscope_api.serializers.interventions import intervention_bytes, intervention_json

router = APIRouter(prefix="/v1/models", tags=["interventions"], dependencies=[INFER])


class Intervention(Endpoint[InterventionOptions]):
    """Outputs before and after, the effect on a target, and the change of each layer."""

    options_model = InterventionOptions

    def query(self) -> Query:
        """The layers, without edits and under them."""
        names = ScoreOptions.model_fields
        effect = ScoreOptions(**{name: getattr(self.options, name) for name in names})
        return replace(self.query_of(layers=self.options.layers or ()), effect=effect)

    def admit(self, plan: QueryPlan) -> int:
        """Sorting the values and writing the classes takes memory."""
        return intervention_bytes(plan, self.options.top)

    def make(self, result: Result) -> ResponseBody:
        """The summary as JSON."""
        return json_body(intervention_json(result, self.options.top), result)


Intervention.register(
    router,
    "/{model}/interventions",
    "interventions",
    get="What edits do to the outputs and layers for stored images.",
    post="What edits do to the outputs and layers for the images in the body.",
    response_model=InterventionBody,
    responses=RUN_ERRORS,
)
