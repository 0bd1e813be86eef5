"""Everything about images at once: what the model says, and of each layer what there is to see."""

from collections.abc import Sequence

import orjson
from fastapi import APIRouter, Request, Response

from layerscope import encode
from layerscope.execution.inputs import ImageSource, Sources
from layerscope.execution.interface import Query, QueryPlan, Result
from layerscope.graph.model import ModelDescription
from layerscope.tensors.options import TensorOptions
from layerscope.tensors.spec import TensorSpec
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ModelReference, Service, ServiceDependency
from layerscope_api.requests.body import Asked, read_request
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.respond import Answer, respond
from layerscope_api.schemas.attributions import InspectionBody
from layerscope_api.schemas.inspection_options import InspectOptions
from layerscope_api.schemas.openapi import RUN_ERRORS, errors, query_and_body
from layerscope_api.serializers.inspection import Links, explained, inspected
from layerscope_api.serializers.models import identity, preprocessing_body
from layerscope_api.serializers.predictions import building_bytes, predicted

router = APIRouter(prefix="/v1/models", tags=["predictions"], dependencies=[INFER])

_NO_LINKS = "There are no links: they name stored images, one an image of a model with one input."


@router.post(
    "/{model}/inspect",
    response_model=InspectionBody,
    responses={**RUN_ERRORS, **errors(507)},
    openapi_extra=query_and_body(InspectOptions),
)
async def post_inspect(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
    """Run the model once: predictions, statistics, heat maps, and links to pictures and tensors that are cached by then."""
    asked = await read_request(request, InspectOptions, service.limits)
    more = service.attribution_seconds if asked.options.methods else 0.0
    return await respond(
        request, service, model, asked, lambda execution: _answer(service, model, asked, execution), more
    )


def _answer(service: Service, model: str, asked: Asked[InspectOptions], execution: Execution) -> Answer:
    options = asked.options
    sources = asked.sources(service.images, service.limits)
    query = Query(
        model=model,
        sources=sources,
        layers=[*options.layers, "outputs"],
        methods=options.explanations(),
    )

    def answer_bytes(plan: QueryPlan) -> int:
        return _telling_bytes(plan.specs, options)

    with execution.run(service.engine, query, answer_bytes) as result:
        images = _stored(service, result.model, sources)
        body = execution.encoded(lambda: _body(service, result, options, images))
        return Answer([body], "application/json", result.model, result.activations)


def _telling_bytes(specs: Sequence[TensorSpec], options: InspectOptions) -> int:
    figures = encode.building_bytes(specs, TensorOptions(), "json", values=False, statistics=True)
    return figures + sum(building_bytes(spec, options.top) for spec in specs)


def _stored(service: Service, model: ModelDescription, sources: Sources) -> list[str] | None:
    """The ids of the images, which are stored if they were not; None where a GET cannot name what was run."""
    given = [source for each in sources.values() for source in each]
    images = [source for source in given if isinstance(source, ImageSource)]
    if len(model.inputs) > 1 or len(images) < len(given):
        return None
    return [service.images.put(image.data)[0].id for image in images]


def _body(service: Service, result: Result, options: InspectOptions, images: list[str] | None) -> bytes:
    model, found = result.model, result.activations
    links = Links(model, images)
    document = {
        "model": identity(model).model_dump(),
        "images": found.images,
        "preprocessing": preprocessing_body(model),
        "warnings": [*found.warnings, *([_NO_LINKS] if images is None else [])],
        "outputs": predicted(result, options.top),
        "layers": inspected(result, options, links, service.limits),
        "attributions": explained(result, options, links),
    }
    return orjson.dumps(document)
