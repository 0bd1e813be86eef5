"""The JSON of attributions."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from layerscope_api.schemas.results import ActivationsBody, PredictionsBody


class MethodOption(BaseModel):
    """An option of a method."""

    name: str
    default: Any
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    choices: list[str] | None = None


class MethodRow(BaseModel):
    """An attribution method."""

    name: str
    title: str
    place: str = Field(description="what its maps lie over: a `layer` or an `input`")
    signed: bool = Field(description="whether what speaks against the target is negative; else nothing is")
    target: bool = Field(description="whether its maps depend on what is explained")
    cost: str
    paper: str
    options: list[MethodOption]


class MethodList(BaseModel):
    """Every attribution method."""

    methods: list[MethodRow]


class TargetRow(BaseModel):
    """What is explained of one image."""

    model_config = ConfigDict(populate_by_name=True)

    output: str
    address: str
    class_: int | None = Field(
        alias="class",
        description="numbered as in the predictions; null for a single number that is no probability",
    )
    name: str | None = Field(description="of the class, if the model declares names")
    position: list[int] | None = Field(description="the place in an output that is a map; null for all of it")
    value: float | None = Field(description="what the output gives: the sum, for a whole map")
    score: str = Field(
        description="what was differentiated: the `logits`, the `log` of the probability, the `probability`, or the"
        " `output` itself; of methods without the option `score`, what was compared"
    )
    measured: str = Field(description="the address of the values it was read from")


class AttributionRow(BaseModel):
    """What was explained, and how."""

    method: str
    place: str
    layer: str = Field(description="the address of the layer or input that the maps lie over")
    features: list[str] | None = Field(
        description="names of the numbers of a vector that the maps lie over, if the model declares them"
    )
    options: dict[str, Any]
    signed: bool
    minimum: list[float | None] = Field(description="of each map; null where none of its values is finite")
    maximum: list[float | None]
    targets: list[TargetRow] = Field(description="one an image; empty for methods that look at no target")


class AttributionBody(ActivationsBody):
    """Heat maps, the only row of `layers`: values of shape (images, height, width) that cover the whole input."""

    attribution: AttributionRow


class InspectedLayer(BaseModel):
    """What there is to see of one layer. Links are followed by GET; null where there is no picture, or no link."""

    address: str
    type: str
    shape: list[int]
    statistics: dict[str, Any] | None
    picture: str | None = Field(description="a link to its feature maps; further options may be added to it")
    reason: str | None = Field(description="why it has no picture")
    overlay: str | None = Field(
        description="a link to its mean magnitude over the image, for a map of one image"
    )
    values: str | None = Field(description="a link to its activations")


class InspectedAttribution(BaseModel):
    """One method's heat maps. Links are followed by GET; null where there is no link."""

    method: str
    address: str | None = Field(description="the layer or input that the maps lie over")
    shape: list[int] | None = Field(description="images, height and width of the maps")
    attribution: AttributionRow | None
    reason: str | None = Field(description="why there are no maps")
    picture: str | None = Field(
        description="a link to the heat map over the image, if there is one image; further options may be added to it"
    )
    values: str | None = Field(description="a link to the heat maps as tensors")


class InspectionBody(PredictionsBody):
    """What the model says of a batch of images, and what there is to see inside."""

    layers: list[InspectedLayer]
    attributions: list[InspectedAttribution] = Field(description="one for each of `methods`")
