"""Types of answers about images. A newer service may send more keys than are named here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, Self, TypedDict

import numpy as np

from layerscope_client._attribution import Explanation
from layerscope_client._descriptions import ModelIdentity
from layerscope_client._error_mapping import unreadable
from layerscope_client._notebook import Html, number, picture, shape_text, table


class PlannedLayer(TypedDict):
    """The part of a layer in a planned answer; None for values that are known only after a run."""

    address: str
    shape: list[int | None]
    dtype: str
    bytes: int | None


class PlanRefusal(TypedDict):
    """The error that the request would get."""

    error: str
    code: str
    details: dict[str, Any]


class PlannedFormat(TypedDict):
    """A planned answer in one format: its bytes (an upper bound unless `exact`) and the memory that making it takes.

    None stands for values that are known only after a run.
    """

    bytes: int | None
    exact: bool
    working_bytes: int | None
    admitted: bool | None
    refusal: PlanRefusal | None


class PlannedComputation(TypedDict):
    """Bytes of the requested values, and an estimate of the most bytes of intermediate values at one time."""

    fetched_bytes: int | None
    intermediate_bytes: int | None


class Plan(TypedDict):
    """Shapes, bytes and memory of activations, and whether the request would be admitted, before anything is computed.

    `format` is the format that `activations` requests, and `admitted` is whether it would be answered in that format.
    `estimated_seconds` is None where only a run can tell.
    """

    model: ModelIdentity
    images: int
    format: str
    admitted: bool | None
    layers: list[PlannedLayer]
    formats: dict[str, PlannedFormat]
    computation: PlannedComputation
    estimated_seconds: float | None
    limits: dict[str, int]


# "class" is a keyword, so this one cannot be written as a class.
Prediction = TypedDict("Prediction", {"class": int, "name": str | None, "value": float | None})
"""A class, its name if the model declares one, and its value; None for NaN and infinities."""


class PredictedOutput(TypedDict):
    """The best predictions of one output: one list per image, best first; None for outputs that are not vectors."""

    name: str
    address: str
    shape: list[int]
    predictions: list[list[Prediction]] | None


class Predictions(TypedDict):
    """The predictions of a model for a batch."""

    model: ModelIdentity
    images: list[str]
    preprocessing: dict[str, Any]
    warnings: list[str]
    outputs: list[PredictedOutput]


class InspectedLayer(TypedDict):
    """Statistics of a layer, and links to its pictures and values; a link that does not exist is None (`reason`)."""

    address: str
    type: str
    shape: list[int]
    statistics: dict[str, Any] | None
    picture: str | None
    reason: str | None
    overlay: str | None
    values: str | None


class InspectedAttribution(TypedDict):
    """Links to the heat maps of one method; a link that does not exist is None (`reason`)."""

    method: str
    address: str | None
    shape: list[int] | None
    attribution: Explanation | None
    reason: str | None
    picture: str | None
    values: str | None


class Inspection(Predictions):
    """The predictions of a model for a batch, with all its layers and with attributions."""

    layers: list[InspectedLayer]
    attributions: list[InspectedAttribution]


class FieldOnInput(TypedDict):
    """The receptive field of a unit in one input: a box (x0, y0, x1, y1; x1 and y1 excluded), or None if it is empty.

    `original` is the same box in pixels of the image, if one was given. `reason` names the operation by which every unit
    depends on the whole input, if there is one. Away from the borders the box of unit u begins at stride * u + offset and
    is `size` long, for each axis; axes along which the box moves irregularly are missing.
    """

    name: str
    box: list[int] | None
    original: list[float] | None
    whole: bool
    reason: str | None
    size: dict[str, int]
    stride: dict[str, int]
    offset: dict[str, int]


class ReceptiveField(TypedDict):
    """The receptive field of a unit in each input. Unless it is `exact`, the unit may depend on less."""

    model: ModelIdentity
    layer: str
    unit: dict[str, int]
    exact: bool
    inputs: list[FieldOnInput]


class AtlasTile(TypedDict):
    """A tile of a picture: its box in pixels, and what it shows; its range is None if it has no finite value."""

    image: int
    channel: int | None
    slice: int | None
    x: int
    y: int
    width: int
    height: int
    value_min: float | None
    value_max: float | None


class AtlasLayer(TypedDict):
    """The tiles of one layer in a picture."""

    address: str
    shape: list[int]
    tiles: list[AtlasTile]


class Atlas(TypedDict):
    """The sprite atlas of a picture of feature maps: position and range of every tile."""

    model: ModelIdentity
    images: list[str]
    warnings: list[str]
    width: int
    height: int
    colormap: str
    levels: int
    value_min: float | None
    value_max: float | None
    nonfinite: int
    notes: list[str]
    layers: list[AtlasLayer]


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image, tensor or text that the service stores; it can be given to every call in place of the image itself.

    Attributes:
        id: "sha256-" and the digest of the data, in hexadecimal.
        width: Pixels across, after orientation; None for a tensor and a text, as for the next two.
        height: Pixels down, after orientation.
        mode: Pillow's name of the pixel type.
        format: The container, decided by content; "npy" for a tensor, "text" for a text.
        orientation_applied: The EXIF orientation (1 to 8) that decoding undoes; 1 is none.
        expires: The time at which it is deleted unless it is used before, ISO 8601 in UTC.
        notes: Conversions that decoding makes, such as using the first frame only.
    """

    id: str
    width: int | None
    height: int | None
    mode: str | None
    format: str
    orientation_applied: int
    expires: str
    notes: list[str]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Read the answer to an upload.

        Raises:
            AnswerUnreadable: A key is missing.
        """
        try:
            return cls(**{name: body[name] for name in cls.__slots__})
        except KeyError as missing:
            raise unreadable(f"it lacks {missing}") from None


class LayerStatistics(TypedDict):
    """Statistics of a layer over all images; None where no value is finite.

    Attributes:
        dead: Channels that are zero everywhere.
        saturated: Channels of which nearly all values lie near one end of the layer's range.
        histogram: The `edges` of the bins, and the `counts` in them.
        channels: The same names, each with a list of one item per channel; None without channels.
        positions: If it was asked for: the same names with a list of one item per token or time step, and `axis`, what they are;
            None for layers without one such axis.
    """

    address: str
    type: str
    shape: list[int]
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    fraction_zero: float | None
    nonfinite: int
    dead: list[int]
    saturated: list[int]
    histogram: NotRequired[dict[str, list[float]]]
    channels: dict[str, list[Any]] | None
    positions: NotRequired[dict[str, Any] | None]


class Statistics(TypedDict):
    """Statistics of layers for a batch of images."""

    model: ModelIdentity
    images: list[str]
    preprocessing: dict[str, dict[str, Any] | None]
    warnings: list[str]
    layers: list[LayerStatistics]


def predictions_html(body: Mapping[str, Any]) -> str:
    """The predictions of each image as a table, for notebooks."""
    rows = [
        (image[:15], output["name"], place + 1, each["class"], each["name"] or "", number(each["value"]))
        for output in body["outputs"]
        for image, classes in zip(body["images"], output["predictions"] or [], strict=False)
        for place, each in enumerate(classes)
    ]
    return table(
        f"Predictions of {_named(body)}", ("image", "output", "rank", "class", "name", "value"), rows
    )


def statistics_html(body: Mapping[str, Any]) -> str:
    """The statistics of each layer as a table, for notebooks."""
    rows = [
        (
            each["address"],
            each["type"],
            shape_text(each["shape"]),
            *(number(each[name]) for name in ("min", "max", "mean", "std", "fraction_zero")),
            len(each["dead"]),
            _histogram(each),
        )
        for each in body["layers"]
    ]
    columns = ("layer", "type", "shape", "min", "max", "mean", "std", "zero", "dead", "counts")
    return table(f"Statistics of {_named(body)}", columns, rows)


def _named(body: Mapping[str, Any]) -> str:
    return f"{body['model']['name']}@{body['model']['version']}"


def _histogram(layer: Mapping[str, Any]) -> Html:
    """Bars of the counts on a logarithmic scale."""
    counts = np.log1p((layer.get("histogram") or {}).get("counts") or [0])
    heights = np.round(24 * counts / (counts.max() or 1)).astype(int)
    return picture((np.arange(24, 0, -1)[:, np.newaxis] <= heights).astype(np.float32), "counts")
