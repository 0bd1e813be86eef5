"""The JSON that the service answers with."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ErrorBody(BaseModel):
    """What every error looks like."""

    error: str = Field(description="one sentence a person can act on")
    code: str = Field(description="a stable name of what went wrong")
    request_id: str
    details: dict[str, Any] = Field(description="the figures and names in the sentence")


class ModelIdentity(BaseModel):
    """Which version of which model, and the digest of its file and declaration."""

    name: str
    version: int
    digest: str


class InputBody(BaseModel):
    """An input of a model. `shape` is without the batch axis; null where any size will do."""

    name: str
    shape: list[int | None]
    dtype: str
    preprocessing: dict[str, Any] | None


class OutputBody(BaseModel):
    """An output of a model and the address of the tap that holds it."""

    name: str
    address: str
    shape: list[int | None]
    dtype: str


class VersionBody(BaseModel):
    """One version in the list of models."""

    version: int
    state: str
    reason: str | None
    digest: str | None
    memory_bytes: int | None
    inputs: list[InputBody] | None


class ModelRow(BaseModel):
    """One model in the list of models."""

    name: str
    labels: dict[str, int]
    versions: list[VersionBody]


class ModelList(BaseModel):
    """Every model, whatever its state."""

    models: list[ModelRow]
    trouble: str | None = Field(
        description="why these may be others than those of the place that they are fetched from, null if they are not"
    )


class ModelBody(ModelIdentity):
    """Everything about one loaded version."""

    state: str
    labels: list[str]
    inputs: list[InputBody]
    outputs: list[OutputBody]
    classes: list[str] | None
    parameters: int
    memory_bytes: int
    layers: int
    warnings: list[str]


class LayerRow(BaseModel):
    """One tap. `shape` is without the batch axis, `inbound` names the taps it computes from."""

    address: str
    index: int | None
    type: str
    call: int
    output: int
    sites: list[str]
    shape: list[int | None]
    dtype: str
    channels: int | None
    parameters: int
    bytes_per_image: int | None
    inbound: list[str]
    group: bool = Field(description="whether the layer is made of other layers")
    can: list[str] = Field(description="what can be done with it")
    cannot: dict[str, str] = Field(description="what cannot, and why")


class UnreachableLayer(BaseModel):
    """A layer whose values cannot be had."""

    path: str
    reason: str


class LayerList(BaseModel):
    """The taps of a model."""

    model: ModelIdentity
    layers: list[LayerRow]
    unreachable: list[UnreachableLayer]


class GraphNode(BaseModel):
    """One layer call."""

    address: str
    name: str
    type: str
    group: str | None
    shape: list[int | None]


class GraphEdge(BaseModel):
    """The target computes from the source."""

    source: str
    target: str


class GraphGroup(BaseModel):
    """A layer made of other layers."""

    path: str
    name: str
    type: str
    parent: str | None


class GraphBody(BaseModel):
    """A model as a graph, for drawing."""

    model: ModelIdentity
    nodes: list[GraphNode]
    edges: list[GraphEdge]
    groups: list[GraphGroup]


class ImageBody(BaseModel):
    """A stored image."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    width: int
    height: int
    mode: str
    format: str
    orientation_applied: int
    expires: datetime
    notes: list[str] = Field(
        description="what decoding does to it: frames left out, depths and modes converted"
    )


class LayerValues(BaseModel):
    """One layer's activations. `values` is nested lists of `shape`; null stands for NaN and infinities."""

    address: str
    type: str
    shape: list[int]
    dtype: str
    layout: str | None
    channel_axis: int | None
    channels: list[Any] | None
    nonfinite: int
    values: Any = None
    statistics: dict[str, Any] | None = None
    scale: list[float] | None = None
    offset: list[float] | None = None


class ActivationsBody(BaseModel):
    """The activations of some layers for a batch of images."""

    model: ModelIdentity
    images: list[str]
    preprocessing: dict[str, Any]
    warnings: list[str]
    layers: list[LayerValues]


class PlannedLayer(BaseModel):
    """What would be sent of one layer; null stands for what only a run can tell."""

    address: str
    shape: list[int | None]
    dtype: str
    bytes: int | None


class PlanRefusal(BaseModel):
    """The error that would be the answer."""

    error: str
    code: str
    details: dict[str, Any]


class PlannedFormat(BaseModel):
    """An answer in one format; null stands for what only a run can tell, or has no size."""

    bytes: int | None = Field(
        description="of the answer: just so many if exact and all values are finite, else at most"
    )
    exact: bool
    working_bytes: int | None = Field(description="memory that is reserved while it is computed and made")
    admitted: bool | None
    refusal: PlanRefusal | None


class PlannedComputation(BaseModel):
    """Bytes of the values asked for, and of those on the way to them at the fullest moment, which is an estimate."""

    fetched_bytes: int | None
    intermediate_bytes: int | None


class PlanBody(BaseModel):
    """What activations would be, and take, and whether they would be computed."""

    model: ModelIdentity
    images: int
    format: str = Field(description="the format that would be answered, unless Accept says otherwise")
    admitted: bool | None = Field(description="whether it would be answered in that format")
    layers: list[PlannedLayer]
    formats: dict[str, PlannedFormat]
    computation: PlannedComputation
    limits: dict[str, int] = Field(description="the limits that bound it")


class ClassScore(BaseModel):
    """A class's place in the output, its name if the model declares names, and the output's value."""

    model_config = ConfigDict(populate_by_name=True)

    class_: int = Field(alias="class")
    name: str | None
    value: float | None


class OutputPredictions(BaseModel):
    """One output's classes, most likely first, one list an image; null for outputs that are not vectors."""

    name: str
    address: str
    shape: list[int]
    predictions: list[list[ClassScore]] | None


class PredictionsBody(BaseModel):
    """What the model says of a batch of images."""

    model: ModelIdentity
    images: list[str]
    preprocessing: dict[str, Any]
    warnings: list[str]
    outputs: list[OutputPredictions]


class LayerStatistics(BaseModel):
    """Figures of a layer over all images; null where no value is finite. `channels` has the same names, with lists."""

    address: str
    type: str
    shape: list[int]
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    fraction_zero: float | None
    nonfinite: int
    dead: list[int] = Field(description="channels that are zero everywhere")
    saturated: list[int] = Field(description="channels that hardly leave one end of the layer's range")
    histogram: dict[str, Any] | None = Field(
        default=None, description="`edges` of the bins and `counts` in them"
    )
    channels: dict[str, Any] | None


class StatisticsBody(BaseModel):
    """What the values of some layers are like for a batch of images."""

    model: ModelIdentity
    images: list[str]
    preprocessing: dict[str, Any]
    warnings: list[str]
    layers: list[LayerStatistics]


class InputField(BaseModel):
    """What a unit sees of one input."""

    name: str
    box: list[int] | None = Field(
        description="x0, y0, x1, y1 in pixels of the input, x1 and y1 excluded (x0, x1 of a sequence); null if nothing"
    )
    original: list[float] | None = Field(
        description="the same in pixels of the first image, upright; null without one, or if it is all padding"
    )
    whole: bool = Field(description="whether that is all of the input")
    reason: str | None = Field(description="what makes every unit see all of it, if something does")
    size: dict[str, int] = Field(
        description="by axis, of a field away from the borders; without axes where fields are not alike"
    )
    stride: dict[str, int] = Field(description="by axis, how far the next unit's field is")
    offset: dict[str, int] = Field(description="by axis, where the field of the unit at 0 begins")


class ReceptiveFieldBody(BaseModel):
    """What a unit of a layer's map sees."""

    model: ModelIdentity
    layer: str
    unit: dict[str, int]
    exact: bool = Field(description="if not, it may see less")
    inputs: list[InputField]


class LimitRow(BaseModel):
    """One bound in force."""

    name: str
    value: int
    unit: str
    meaning: str


class LimitList(BaseModel):
    """Every bound in force."""

    limits: list[LimitRow]


class ColormapList(BaseModel):
    """The names that `colormap=` takes."""

    colormaps: list[str]


class VersionInfo(BaseModel):
    """The versions of what computes."""

    layerscope: str
    keras: str
    tensorflow: str
    numpy: str
    python: str


class Liveness(BaseModel):
    """The process answers."""

    live: bool


class Readiness(Liveness):
    """Every model is loaded or has failed."""

    ready: bool
