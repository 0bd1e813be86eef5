"""Receptive fields: which part of the picture a unit of a layer sees."""

from collections.abc import Mapping

from fastapi import APIRouter, Request

from layerscope.execution.engine import Query
from layerscope.graph.model import ModelDescription
from layerscope.graph.receptive.field import AXES, FieldOnInput, ReceptiveField
from layerscope_api.contract import errors, query
from layerscope_api.dependencies import ModelReference, Service, ServiceDependency
from layerscope_api.descriptions import identity
from layerscope_api.options import ReceptiveFieldOptions
from layerscope_api.requests import Asked, read_request
from layerscope_api.schemas import InputField, ReceptiveFieldBody
from layerscope_api.security import INFER

router = APIRouter(prefix="/v1/models", tags=["models"], dependencies=[INFER])


@router.get(
    "/{model}/receptive-field",
    responses=errors(400, 404, 409, 413, 422, 429, 503),
    openapi_extra=query(ReceptiveFieldOptions),
)
async def get_receptive_field(
    model: ModelReference, request: Request, service: ServiceDependency
) -> ReceptiveFieldBody:
    """Tell which box of each input a unit of a layer's map sees. The model is not run."""
    asked = await read_request(request, ReceptiveFieldOptions, service.limits)
    return await service.work.run(lambda: _answer(service, model, asked))


def _answer(service: Service, model: str, asked: Asked[ReceptiveFieldOptions]) -> ReceptiveFieldBody:
    options = asked.options
    sources = asked.sources(service.images, service.limits)
    query = Query(model=model, sources=sources, layers=[options.layer])
    description, field = service.engine.receptive_field(query, options.unit())
    return _body(description, field)


def _body(model: ModelDescription, field: ReceptiveField) -> ReceptiveFieldBody:
    return ReceptiveFieldBody(
        model=identity(model),
        layer=field.tap.address,
        unit=dict(field.unit),
        exact=field.is_exact,
        inputs=[_input(each) for each in field.inputs],
    )


def _input(seen: FieldOnInput) -> InputField:
    regular = seen.lines
    return InputField(
        name=seen.input.name,
        box=None if seen.box is None else _corners(seen.box),
        whole=seen.is_whole,
        reason=seen.because,
        size={axis: line.size for axis, line in regular.items()},
        stride={axis: line.stride for axis, line in regular.items()},
        offset={axis: line.offset for axis, line in regular.items()},
    )


def _corners(box: Mapping[str, tuple[int, int]]) -> list[int]:
    """First x, y of the corner before, then of the corner behind, as `region` takes it."""
    axes = [axis for axis in reversed(AXES) if axis in box]
    return [box[axis][end] for end in (0, 1) for axis in axes]
