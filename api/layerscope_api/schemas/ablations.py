"""The JSON of sweeps."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from layerscope_api.schemas.attributions import TargetRow
from layerscope_api.schemas.models import ModelIdentity
from layerscope_api.schemas.results import Tokens


class CleanRow(BaseModel):
    """What an image gives without a change."""

    model_config = ConfigDict(populate_by_name=True)

    score: float | None
    output: float | None
    class_: int | None = Field(
        alias="class", description="the most likely one; null for an output without classes"
    )


class ClassChange(BaseModel):
    """A unit without which another class is the most likely one."""

    model_config = ConfigDict(populate_by_name=True)

    unit: int
    class_: int = Field(alias="class")


class AblationBody(BaseModel):
    """What each unit of a layer does for the target. Lists have one entry an image, and units are numbered row by row."""

    model: ModelIdentity
    images: list[str]
    preprocessing: dict[str, Any]
    warnings: list[str]
    edits: list[str] | None = Field(default=None, description="those of an edited model")
    tokens: Tokens = None
    layers: list[str] = Field(description="the layer whose units were taken away, or the layers that were")
    by: Literal["channel", "layer", "place"]
    set: float | Literal["mean"] | None = Field(description="what was put in their place; null with `patch`")
    patch: str | None
    metric: Literal["score", "output", "distance"]
    shape: list[int] = Field(
        description="how units are arranged: channels, layers, or rows and columns of places"
    )
    regions: list[list[int]] = Field(description="of places, the box of each, as `region` of an edit")
    complete: bool = Field(
        description="whether every unit was run, or need not be; else a screening chose some"
    )
    targets: list[TargetRow]
    clean: list[CleanRow]
    effects: list[Any] = Field(
        description="by how much the score or output is smaller without the unit, or the distance; in `shape`, null for what"
        " was not run or is no number"
    )
    recoveries: list[Any] | None = Field(
        description="with `patch`, how much of the way from the score of the image to that of the other each unit goes, in `shape`:"
        " 1 for all of it; null where both scores are the same"
    )
    order: list[list[int]] = Field(description="the `top` units with the largest effect, largest first")
    flips: list[list[ClassChange]]
    unchanged: list[list[int]] = Field(
        description="units that have the values already that were put in their place, such as dead channels"
    )
