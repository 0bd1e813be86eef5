"""Receptive fields: the part of each input that a unit of a layer depends on."""

from fastapi import APIRouter, Request

from layerscope.execution.interface import Query
from layerscope.extraction.catalog import NamedImages
from layerscope_api.context.account import account_of
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ModelReference, Service, ServiceDependency
from layerscope_api.requests.body import ParsedRequest, read_request
from layerscope_api.schemas.openapi import errors, query_parameters
from layerscope_api.schemas.options import ReceptiveFieldOptions
from layerscope_api.schemas.results import ReceptiveFieldBody
from layerscope_api.serializers.models import identity
from layerscope_api.serializers.receptive_field import input_field, picture_geometries

router = APIRouter(prefix="/v1/models", tags=["models"], dependencies=[INFER])


@router.get(
    "/{model}/receptive-field",
    responses=errors(400, 404, 406, 409, 413, 422, 429, 503),
    openapi_extra=query_parameters(ReceptiveFieldOptions),
)
async def get_receptive_field(
    model: ModelReference, request: Request, service: ServiceDependency
) -> ReceptiveFieldBody:
    """Tell which box of each input a unit of a layer's map sees. The model is not run."""
    parsed = await read_request(request, ReceptiveFieldOptions, service.limits, service.request_pool.run)
    images = service.named_images(account_of(request.scope))
    return await service.request_pool.run(lambda: _answer(service, model, parsed, images))


def _answer(
    service: Service, model: str, parsed: ParsedRequest[ReceptiveFieldOptions], images: NamedImages
) -> ReceptiveFieldBody:
    options = parsed.options
    sources = parsed.sources(images, service.limits)
    query = Query(model=model, sources=sources, layers=[options.layer])
    description, field = service.engine.receptive_field(query, options.unit())
    geometries = picture_geometries(description, sources, service.limits) if sources else {}
    return ReceptiveFieldBody(
        model=identity(description),
        layer=field.tap.address,
        unit=dict(field.unit),
        exact=field.is_exact,
        inputs=[input_field(each, geometries.get(each.input.name)) for each in field.inputs],
    )
