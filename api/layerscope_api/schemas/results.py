"""The JSON of results: activations, plans, predictions, statistics and receptive fields."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from layerscope_api.schemas.models import AXES, ModelIdentity


class LayerValues(BaseModel):
    """One layer's activations. `values` is nested lists of `shape`; null stands for NaN and infinities."""

    address: str
    type: str
    shape: list[int]
    dtype: str
    layout: str | None
    axes: list[str] = Field(description=f"what each axis of `shape` counts: `batch` first, then {AXES}")
    channel_axis: int | None
    channels: list[Any] | None
    nonfinite: int
    values: Any = None
    statistics: dict[str, Any] | None = None
    scale: list[float] | None = None
    offset: list[float] | None = None


class TokenBody(BaseModel):
    """One position of the input of a text model."""

    text: str = Field(description="the entry of the vocabulary; empty for padding without one")
    id: int
    start: int | None = Field(
        description="where it begins in the text, in characters; null if it is no part of it"
    )
    end: int | None = Field(description="where it ends, excluded")


Tokens = Annotated[
    list[list[TokenBody]] | None,
    Field(description="of texts: the tokens of each, one for each position of the input, padding included"),
]


class ActivationsBody(BaseModel):
    """The activations of some layers for a batch of images."""

    model: ModelIdentity
    images: list[str]
    preprocessing: dict[str, Any]
    warnings: list[str]
    edits: list[str] | None = Field(default=None, description="those of an edited model")
    seed: int | None = Field(default=None, description="of a model that draws random numbers")
    tokens: Tokens = None
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
    estimated_seconds: float | None = Field(
        description="an estimate of the time that the model runs, about; null where only a run can tell. Beyond"
        " `short_milliseconds`, and where it is null, the request is long"
    )
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
    edits: list[str] | None = Field(default=None, description="those of an edited model")
    seed: int | None = Field(default=None, description="of a model that draws random numbers")
    tokens: Tokens = None
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
    positions: dict[str, Any] | None = Field(
        default=None,
        description="with `positions`: as `channels`, with a number for each token or time step, and `axis`, what they are;"
        " null for layers that have no such axis, or several",
    )


class StatisticsBody(BaseModel):
    """What the values of some layers are like for a batch of images."""

    model: ModelIdentity
    images: list[str]
    preprocessing: dict[str, Any]
    warnings: list[str]
    edits: list[str] | None = Field(default=None, description="those of an edited model")
    seed: int | None = Field(default=None, description="of a model that draws random numbers")
    tokens: Tokens = None
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
