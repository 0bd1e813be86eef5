"""Receptive fields: which part of the picture a unit of a layer sees."""

from collections.abc import Mapping

from fastapi import APIRouter, Request

from layerscope.execution.inputs import Sources, rows_of
from layerscope.execution.interface import Query
from layerscope.graph.model import ModelDescription
from layerscope.graph.receptive.field import AXES, FieldOnInput
from layerscope.images import Geometry
from layerscope.limits import Limits
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ModelReference, Service, ServiceDependency
from layerscope_api.requests.body import Asked, read_request
from layerscope_api.schemas.openapi import errors, query
from layerscope_api.schemas.options import ReceptiveFieldOptions
from layerscope_api.schemas.results import InputField, ReceptiveFieldBody
from layerscope_api.serializers.models import identity

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
    return await service.request_pool.run(lambda: _answer(service, model, asked))


def _answer(service: Service, model: str, asked: Asked[ReceptiveFieldOptions]) -> ReceptiveFieldBody:
    options = asked.options
    sources = asked.sources(service.images, service.limits)
    query = Query(model=model, sources=sources, layers=[options.layer])
    description, field = service.engine.receptive_field(query, options.unit())
    pictures = _pictures(description, sources, service.limits) if sources else {}
    return ReceptiveFieldBody(
        model=identity(description),
        layer=field.tap.address,
        unit=dict(field.unit),
        exact=field.is_exact,
        inputs=[_input(each, pictures.get(each.input.name)) for each in field.inputs],
    )


def _pictures(model: ModelDescription, sources: Sources, limits: Limits) -> dict[str, Geometry]:
    """How the first image lies in each input that it was made into."""
    row, *_ = rows_of(model, sources, limits)
    return {
        item.input.name: item.preprocessing.geometry(item.describe(limits))
        for item in row
        if item.preprocessing is not None
    }


def _input(seen: FieldOnInput, picture: Geometry | None) -> InputField:
    regular = seen.lines
    box = None if seen.box is None else _corners(seen.box)
    return InputField(
        name=seen.input.name,
        box=box,
        original=None if box is None or picture is None else _in_picture(box, picture),
        whole=seen.is_whole,
        reason=seen.because,
        size={axis: line.size for axis, line in regular.items()},
        stride={axis: line.stride for axis, line in regular.items()},
        offset={axis: line.offset for axis, line in regular.items()},
    )


def _in_picture(box: list[int], picture: Geometry) -> list[float] | None:
    """Where a box of the input is in the picture, as far as it is in it: padding is not."""
    left, top, right, bottom = picture.to_original((box[0], box[1], box[2], box[3]))
    height, width = picture.original
    inside = [max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)]
    return inside if inside[0] < inside[2] and inside[1] < inside[3] else None


def _corners(box: Mapping[str, tuple[int, int]]) -> list[int]:
    """First x, y of the corner before, then of the corner behind, as `region` takes it."""
    axes = [axis for axis in reversed(AXES) if axis in box]
    return [box[axis][end] for end in (0, 1) for axis in axes]
