"""Statistics of layers as JSON, and as one picture of the whole network."""

from collections.abc import Sequence
from typing import Any

import orjson

from layerscope.errors import AnswerTooLarge
from layerscope.execution.interface import Result
from layerscope.limits import Limits
from layerscope.render import (
    HISTOGRAM_WIDTH,
    LayerRow,
    PictureFormat,
    statistics_picture,
    statistics_picture_size,
)
from layerscope.tensors.activations import Activation
from layerscope.tensors.asinh_axis import AsinhAxis
from layerscope.tensors.report import Report, report_of
from layerscope.tensors.spec import TensorSpec
from layerscope.tensors.statistics import positions_of
from layerscope_api.schemas.options import StatisticsOptions
from layerscope_api.serializers.models import result_origin

_BYTES_PER_VALUE = 48
"""What the statistics of one layer take for each of its values; layers are treated one after the other."""

_BYTES_PER_NUMBER = 64
_BYTES_PER_PIXEL = 8
_NUMBERS_PER_CHANNEL = 8
"""The numbers of the JSON for each layer and each channel, besides histograms."""


def statistics_bytes(specs: Sequence[TensorSpec], options: StatisticsOptions, limits: Limits) -> int:
    """The bytes of memory that the statistics of layers take, from their shapes alone.

    Raises:
        AnswerTooLarge: there would be more numbers than one JSON answer may have.
    """
    channels = sum(spec.channels for spec in specs)
    bins = options.bins if options.histograms == "channel" else 0
    numbers = len(specs) * (_NUMBERS_PER_CHANNEL + 2 * options.bins) + channels * (
        _NUMBERS_PER_CHANNEL + bins
    )
    if options.positions:
        numbers += _NUMBERS_PER_CHANNEL * sum(max(spec.shape[1:], default=0) for spec in specs)
    if numbers > limits.json_elements:
        raise AnswerTooLarge(
            f"The statistics would be up to {numbers:,} figures, more than {limits.json_elements:,}",
            ways=("select fewer layers (layers=)", "ask for histograms=layer", "for fewer bins (bins=)"),
            elements=numbers,
            limit=limits.json_elements,
        )
    return _BYTES_PER_VALUE * max(spec.size for spec in specs) + _BYTES_PER_NUMBER * numbers


def statistics_json(result: Result, options: StatisticsOptions) -> bytes:
    """The statistics of every layer."""
    layers = [
        {
            "address": address,
            "type": each.tap.layer.type,
            "shape": each.values.shape,
            **report_of(each, options.bins).as_json(options.histograms),
            **(_positions(each) if options.positions else {}),
        }
        for address, each in result.activations.items()
    ]
    return orjson.dumps({**result_origin(result), "layers": layers})


def _positions(activation: Activation) -> dict[str, Any]:
    found = positions_of(activation)
    return {"positions": None if found is None else {"axis": found[0], **found[1].as_json()}}


def statistics_picture_bytes(specs: Sequence[TensorSpec], limits: Limits) -> int:
    """The bytes of memory that the picture of the network takes, from the shapes of its layers alone.

    Raises:
        AnswerTooLarge: the picture would be too large.
    """
    width, height = statistics_picture_size([spec.address for spec in specs], limits)
    return _BYTES_PER_VALUE * max(spec.size for spec in specs) + _BYTES_PER_PIXEL * width * height


def render_statistics(result: Result, limits: Limits, form: PictureFormat) -> bytes:
    """Draw a row for each layer: the distribution of its values, its zeros and its dead channels."""
    reports = {address: report_of(each, bins=1) for address, each in result.activations.items()}
    axis = AsinhAxis.of([report.statistics.layer for report in reports.values()])
    rows = [_row(each, reports[address], axis) for address, each in result.activations.items()]
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
