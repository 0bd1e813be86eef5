"""What the service answers about images, as types. A newer service may send more keys than are named here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, Self, TypedDict

from layerscope_client._attribution import Explanation
from layerscope_client._descriptions import ModelIdentity
from layerscope_client._failures import unreadable


class PlannedLayer(TypedDict):
    """What would be sent of a layer; None stands for what only a run can tell."""

    address: str
    shape: list[int | None]
    dtype: str
    bytes: int | None


class PlanRefusal(TypedDict):
    """The error that would be the answer."""

    error: str
    code: str
    details: dict[str, Any]


class PlannedFormat(TypedDict):
    """An answer in one format: its bytes, just so many if `exact`, else at most, and the memory that making it takes.

    None stands for what only a run can tell.
    """

    bytes: int | None
    exact: bool
    working_bytes: int | None
    admitted: bool | None
    refusal: PlanRefusal | None


class PlannedComputation(TypedDict):
    """Bytes of the values asked for, and about how many are on the way to them at the fullest moment."""

    fetched_bytes: int | None
    intermediate_bytes: int | None


class Plan(TypedDict):
    """What activations would be and take, and whether they would be computed.

    `format` is the one that `activations` asks for, `admitted` is whether it would be answered in that.
    """

    model: ModelIdentity
    images: int
    format: str
    admitted: bool | None
    layers: list[PlannedLayer]
    formats: dict[str, PlannedFormat]
    computation: PlannedComputation
    limits: dict[str, int]


# "class" is a keyword, so this one cannot be written as a class.
Prediction = TypedDict("Prediction", {"class": int, "name": str | None, "value": float | None})
"""A class, its name where the model declares one, and its value; None stands for NaN and infinities."""


class PredictedOutput(TypedDict):
    """The best predictions of one output: a list an image, best first; None for outputs that are not vectors."""

    name: str
    address: str
    shape: list[int]
    predictions: list[list[Prediction]] | None


class Predictions(TypedDict):
    """What a model says about a batch."""

    model: ModelIdentity
    images: list[str]
    preprocessing: dict[str, Any]
    warnings: list[str]
    outputs: list[PredictedOutput]


class InspectedLayer(TypedDict):
    """What there is to see of a layer: statistics, and links, which are None where there is nothing (`reason`)."""

    address: str
    type: str
    shape: list[int]
    statistics: dict[str, Any] | None
    picture: str | None
    reason: str | None
    overlay: str | None
    values: str | None


class InspectedAttribution(TypedDict):
    """The heat maps of one method, as links, which are None where there is nothing (`reason`)."""

    method: str
    address: str | None
    shape: list[int] | None
    attribution: Explanation | None
    reason: str | None
    picture: str | None
    values: str | None


class Inspection(Predictions):
    """What a model says about a batch, what there is to see inside, and what explains it."""

    layers: list[InspectedLayer]
    attributions: list[InspectedAttribution]


class FieldOnInput(TypedDict):
    """What a unit sees of one input: a box (x0, y0, x1, y1; the latter two excluded), or None if nothing.

    `original` is the same in pixels of the image that was given, if one was.
    `reason` says what makes every unit see all of it, if something does. `size`, `stride` and `offset` tell by axis
    how the box follows the unit away from the borders; they lack axes where it does so in no regular way.
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
    """What a unit of a layer's map sees of each input; if not `exact`, it may see less."""

    model: ModelIdentity
    layer: str
    unit: dict[str, int]
    exact: bool
    inputs: list[FieldOnInput]


class AtlasTile(TypedDict):
    """A rectangle of a picture in pixels, and what it shows; the ends of its range are null without a finite value."""

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
    """A layer in a picture."""

    address: str
    shape: list[int]
    tiles: list[AtlasTile]


class Atlas(TypedDict):
    """What lies where in a picture of feature maps."""

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
    """An image the service keeps, to be used instead of the image itself.

    Attributes:
        id: "sha256-" and the digest of the data, in hexadecimal.
        width: Pixels across, after orientation.
        height: Pixels down, after orientation.
        mode: Pillow's name of the pixel type.
        format: The container, decided by content.
        orientation_applied: The EXIF orientation (1 to 8) that decoding undoes; 1 is none.
        expires: When it is forgotten if it is not used, as ISO 8601 in UTC.
        notes: What decoding does to it, such as leaving out all frames but the first.
    """

    id: str
    width: int
    height: int
    mode: str
    format: str
    orientation_applied: int
    expires: str
    notes: list[str]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Read the answer to an upload.

        Raises:
            AnswerUnreadable: Something is missing.
        """
        try:
            return cls(**{name: body[name] for name in cls.__slots__})
        except KeyError as missing:
            raise unreadable(f"it lacks {missing}") from None


class LayerStatistics(TypedDict):
    """Figures of a layer over all images; None where no value is finite.

    Attributes:
        dead: Channels that are zero everywhere.
        saturated: Channels that hardly leave one end of the layer's range.
        histogram: `edges` of the bins and `counts` in them.
        channels: The same names, each with a list, one item a channel; None without channels.
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


class Statistics(TypedDict):
    """What the values of layers are like for a batch of images."""

    model: ModelIdentity
    images: list[str]
    preprocessing: dict[str, dict[str, Any] | None]
    warnings: list[str]
    layers: list[LayerStatistics]
