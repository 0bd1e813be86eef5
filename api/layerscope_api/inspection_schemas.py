"""The JSON of inspections."""

from typing import Any

from pydantic import BaseModel, Field

from layerscope_api.attribution_schemas import AttributionRow
from layerscope_api.schemas import PredictionsBody


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
