"""Inspections: predictions, statistics of layers, heat maps and links to pictures, from one run of the model."""

from fastapi import APIRouter

from layerscope.encode import building_bytes
from layerscope.execution.inputs import ImageSource, Source, TextSource
from layerscope.execution.interface import Query, QueryPlan, Result
from layerscope.execution.loading_memory import decoding_bytes
from layerscope.graph.model import ModelDescription
from layerscope.tensors.options import TensorOptions
from layerscope.text import encoded
from layerscope_api.context.scopes import INFER
from layerscope_api.responses.respond import ResponseBody, json_body
from layerscope_api.routes.endpoint import Endpoint
from layerscope_api.schemas.attributions import InspectionBody
from layerscope_api.schemas.inspection_options import InspectOptions
from layerscope_api.schemas.openapi import RUN_ERRORS, errors
from layerscope_api.serializers.inspection import inspection_json
from layerscope_api.serializers.predictions import prediction_bytes

router = APIRouter(prefix="/v1/models", tags=["predictions"], dependencies=[INFER])


class Inspection(Endpoint[InspectOptions]):
    """All that a run of the model shows, with links to pictures and tensors that the run has cached."""

    options_model = InspectOptions

    @property
    def extra_seconds(self) -> float:
        """Attributions take many runs of the model."""
        return self.service.attribution_seconds if self.options.methods else 0.0

    def query(self) -> Query:
        """The selected layers, the outputs and the attributions."""
        layers = [*self.options.layers, "outputs"]
        return self.query_of(layers=layers, methods=self.options.attribution_options())

    def admit(self, plan: QueryPlan) -> int:
        """Statistics and predictions take memory."""
        statistics = building_bytes(plan.specs, TensorOptions(), "json", values=False, statistics=True)
        # Images of the body are stored, for which each is decoded once more.
        decoding = max(
            (decoding_bytes(each, self.limits) for each in self._images if isinstance(each, ImageSource)),
            default=0,
        )
        return statistics + decoding + sum(prediction_bytes(spec, self.options.top) for spec in plan.specs)

    def make(self, result: Result) -> ResponseBody:
        """The inspection as JSON. Images of the body are stored, so that links can name them."""
        images = self._stored_images(result.model)
        return json_body(inspection_json(result, self.options, images, self.limits), result)

    @property
    def _images(self) -> list[Source]:
        return [source for each in self.sources.values() for source in each]

    def _stored_images(self, model: ModelDescription) -> list[str] | None:
        """The ids of the images; None if a GET cannot name all inputs: of several inputs, or of tensors."""
        sources = self._images
        if sources and all(isinstance(source, TextSource) for source in sources):
            texts = [encoded(source.text) for source in sources if isinstance(source, TextSource)]
            return [self.service.images.put(text)[0].id for text in texts]
        images = [source for source in sources if isinstance(source, ImageSource)]
        if len(model.inputs) > 1 or len(images) < len(sources):
            return None
        return [self.service.images.put(image.data)[0].id for image in images]


Inspection.register(
    router,
    "/{model}/inspect",
    "inspect",
    get=None,
    post="Run the model once: predictions, statistics, heat maps, and links to pictures and tensors that are cached by then.",
    response_model=InspectionBody,
    responses={**RUN_ERRORS, **errors(507)},
)
