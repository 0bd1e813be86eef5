"""Statistics: what the values of layers are like, as figures and as a picture of the whole network."""

from collections.abc import Sequence

import orjson
from fastapi import APIRouter, Request, Response

from layerscope.errors import AnswerTooLarge
from layerscope.execution.interface import Query, QueryPlan, Result
from layerscope.limits import Limits
from layerscope.render import (
    HISTOGRAM_WIDTH,
    MEDIA_TYPES,
    LayerRow,
    PictureFormat,
    statistics_picture,
    statistics_picture_size,
)
from layerscope.tensors.activations import Activation
from layerscope.tensors.asinh_axis import AsinhAxis
from layerscope.tensors.report import Report, report_of
from layerscope.tensors.spec import TensorSpec
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ModelReference, Service, ServiceDependency
from layerscope_api.requests.body import Asked, read_request
from layerscope_api.responses.execution import Execution
from layerscope_api.responses.images import picture_format
from layerscope_api.responses.respond import Answer, respond
from layerscope_api.schemas.openapi import NOT_MODIFIED, PICTURE, RUN_ERRORS, query, query_and_body
from layerscope_api.schemas.options import LayersOptions, StatisticsOptions
from layerscope_api.schemas.results import StatisticsBody
from layerscope_api.serializers.models import identity, preprocessing_body

_BYTES_A_VALUE, _BYTES_A_FIGURE, _FIGURES = 48, 64, 8

router = APIRouter(prefix="/v1/models", tags=["statistics"], dependencies=[INFER])


@router.get(
    "/{model}/statistics",
    response_model=StatisticsBody,
    responses={**RUN_ERRORS, **NOT_MODIFIED},
    openapi_extra=query(StatisticsOptions),
)
async def get_statistics(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
    """Figures of layers and channels over stored images."""
    return await _statistics(model, request, service)


@router.post(
    "/{model}/statistics",
    response_model=StatisticsBody,
    responses=RUN_ERRORS,
    openapi_extra=query_and_body(StatisticsOptions),
)
async def post_statistics(model: ModelReference, request: Request, service: ServiceDependency) -> Response:
    """Figures of layers and channels over the images in the body."""
    return await _statistics(model, request, service)


@router.get(
    "/{model}/statistics.png",
    response_class=Response,
    responses={**PICTURE, **RUN_ERRORS, **NOT_MODIFIED},
    openapi_extra=query(LayersOptions),
)
async def get_statistics_picture(
    model: ModelReference, request: Request, service: ServiceDependency
) -> Response:
    """Draw what the values of each layer are like over stored images."""
    return await _picture(model, request, service)


@router.post(
    "/{model}/statistics.png",
    response_class=Response,
    responses={**PICTURE, **RUN_ERRORS},
    openapi_extra=query_and_body(LayersOptions),
)
async def post_statistics_picture(
    model: ModelReference, request: Request, service: ServiceDependency
) -> Response:
    """Draw what the values of each layer are like over the images in the body."""
    return await _picture(model, request, service)


async def _statistics(model: str, request: Request, service: Service) -> Response:
    asked = await read_request(request, StatisticsOptions, service.limits)
    options = asked.options

    def answer_bytes(plan: QueryPlan) -> int:
        return _admit(plan.specs, options, service.limits)

    def answer(execution: Execution) -> Answer:
        query = _query(service, model, asked)
        with execution.run(service.engine, query, answer_bytes) as result:
            body = execution.encoded(lambda: _body(result, options))
            return Answer([body], "application/json", result.model, result.activations)

    return await respond(request, service, model, asked, answer)


async def _picture(model: str, request: Request, service: Service) -> Response:
    asked = await read_request(request, LayersOptions, service.limits)
    form = picture_format(request)

    def answer_bytes(plan: QueryPlan) -> int:
        width, height = statistics_picture_size([spec.address for spec in plan.specs], service.limits)
        return _BYTES_A_VALUE * max(spec.size for spec in plan.specs) + 8 * width * height

    def answer(execution: Execution) -> Answer:
        with execution.run(service.engine, _query(service, model, asked), answer_bytes) as result:
            data = execution.encoded(lambda: _draw(result, service.limits, form))
            headers = {"Vary": "Accept"}
            return Answer([data], MEDIA_TYPES[form], result.model, result.activations, headers)

    return await respond(request, service, model, asked, answer)


def _query(service: Service, model: str, asked: Asked[LayersOptions] | Asked[StatisticsOptions]) -> Query:
    sources = asked.sources(service.images, service.limits)
    return Query(model=model, sources=sources, layers=asked.options.layers)


def _admit(specs: Sequence[TensorSpec], options: StatisticsOptions, limits: Limits) -> int:
    """Refuse more figures than one JSON answer may have; else tell what making them takes."""
    channels = sum(spec.channels for spec in specs)
    bins = options.bins if options.histograms == "channel" else 0
    figures = len(specs) * (_FIGURES + 2 * options.bins) + channels * (_FIGURES + bins)
    if figures > limits.json_elements:
        raise AnswerTooLarge(
            f"The statistics would be up to {figures:,} figures, more than {limits.json_elements:,}",
            ways=("select fewer layers (layers=)", "ask for histograms=layer", "for fewer bins (bins=)"),
            elements=figures,
            limit=limits.json_elements,
        )
    return _BYTES_A_VALUE * max(spec.size for spec in specs) + _BYTES_A_FIGURE * figures


def _body(result: Result, options: StatisticsOptions) -> bytes:
    found = result.activations
    document = {
        "model": identity(result.model).model_dump(),
        "images": found.images,
        "preprocessing": preprocessing_body(result.model),
        "warnings": found.warnings,
        "layers": [
            {
                "address": address,
                "type": each.tap.layer.type,
                "shape": each.values.shape,
                **report_of(each, options.bins).as_json(options.histograms),
            }
            for address, each in found.items()
        ],
    }
    return orjson.dumps(document)


def _draw(result: Result, limits: Limits, form: PictureFormat) -> bytes:
    found = result.activations
    reports = {address: report_of(each, bins=1) for address, each in found.items()}
    axis = AsinhAxis.of([report.statistics.layer for report in reports.values()])
    rows = [_row(each, reports[address], axis) for address, each in found.items()]
    model = result.model
    metadata = {"model": f"{model.name}@{model.version}", "digest": model.digest, "layers": str(len(rows))}
    return statistics_picture(rows, axis, limits=limits, metadata=metadata, form=form)


def _row(activation: Activation, report: Report, axis: AsinhAxis) -> LayerRow:
    channels = report.statistics.channels
    return LayerRow(
        name=activation.tap.address,
        density=axis.density(activation, HISTOGRAM_WIDTH),
        fraction_zero=report.statistics.layer.fraction_zero.item(),
        channels=0 if channels is None else len(channels.count),
        dead=len(report.dead),
        saturated=len(report.saturated),
        nonfinite=report.statistics.layer.nonfinite.item(),
    )
