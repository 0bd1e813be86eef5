"""Plans: the shapes and sizes of activations and the memory they would take, without running the model."""

from fastapi import APIRouter, Request

from layerscope.errors import InvalidRequest
from layerscope.execution.interface import Query
from layerscope.extraction.catalog import NamedImages
from layerscope_api.context.account import account_of
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ModelReference, Service, ServiceDependency
from layerscope_api.requests.body import ParsedRequest, read_request
from layerscope_api.requests.edits import with_edits
from layerscope_api.schemas.openapi import errors, query_and_body, query_parameters
from layerscope_api.schemas.options import PlanOptions
from layerscope_api.schemas.results import PlanBody
from layerscope_api.serializers.plan import plan_body

router = APIRouter(prefix="/v1/models", tags=["activations"], dependencies=[INFER])

_ERRORS = errors(400, 404, 406, 409, 413, 415, 422, 429, 503)


@router.get("/{model}/plan", responses=_ERRORS, openapi_extra=query_parameters(PlanOptions))
async def get_plan(model: ModelReference, request: Request, service: ServiceDependency) -> PlanBody:
    """Tell what activations of stored images, or of any, would be and take. The model is not run."""
    return await _plan(model, request, service)


@router.post("/{model}/plan", responses=_ERRORS, openapi_extra=query_and_body(PlanOptions))
async def post_plan(model: ModelReference, request: Request, service: ServiceDependency) -> PlanBody:
    """Tell what activations of the images in the body would be and take. The model is not run."""
    return await _plan(model, request, service)


async def _plan(model: str, request: Request, service: Service) -> PlanBody:
    parsed = await read_request(request, PlanOptions, service.limits, service.request_pool.run)
    if parsed.inputs and "batch" in parsed.options.model_fields_set:
        raise InvalidRequest("Give images, or how many there will be (batch=), not both.")
    images = service.named_images(account_of(request.scope))
    return await service.request_pool.run(lambda: _answer(service, model, parsed, images), -parsed.spent)


def _answer(
    service: Service, model: str, parsed: ParsedRequest[PlanOptions], images: NamedImages
) -> PlanBody:
    options = parsed.options
    sources = parsed.sources(images, service.limits)
    query = Query(model=model, sources=sources, layers=options.layers, change=options.change)
    plan = service.engine.plan(with_edits(query, options.edit, images), options.batch)
    return plan_body(plan, options, service.limits)
