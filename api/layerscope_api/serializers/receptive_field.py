"""Receptive fields as JSON: the box of a unit in each input, and in the image that was sent for it."""

from collections.abc import Mapping

from layerscope.execution.inputs import Sources, rows_of
from layerscope.graph.model import ModelDescription
from layerscope.graph.receptive.field import FieldOnInput
from layerscope.graph.taps.geometry import PLACE_NAMES
from layerscope.images import Geometry
from layerscope.limits import Limits
from layerscope_api.schemas.results import InputField


def picture_geometries(model: ModelDescription, sources: Sources, limits: Limits) -> dict[str, Geometry]:
    """How the first image was placed in each input that takes images, by the name of the input."""
    row, *_ = rows_of(model, sources, limits)
    return {
        item.input.name: item.preprocessing.geometry(item.describe(limits))
        for item in row
        if item.preprocessing is not None
    }


def input_field(seen: FieldOnInput, picture: Geometry | None) -> InputField:
    """The field of a unit on one input; in pixels of the image, too, if its geometry is known."""
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
    """The box of an input in pixels of the image, without the part of it that is padding; None if all of it is padding."""
    left, top, right, bottom = picture.to_original((box[0], box[1], box[2], box[3]))
    height, width = picture.original
    inside = [max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)]
    return inside if inside[0] < inside[2] and inside[1] < inside[3] else None


def _corners(box: Mapping[str, tuple[int, int]]) -> list[int]:
    """The box as x0, y0, x1, y1, the order of the option `region`."""
    axes = [axis for axis in reversed(PLACE_NAMES) if axis in box]
    return [box[axis][end] for end in (0, 1) for axis in axes]
