"""The JSON of interventions."""

from typing import Any

from pydantic import BaseModel, Field

from layerscope_api.schemas.attributions import TargetRow
from layerscope_api.schemas.models import ModelIdentity
from layerscope_api.schemas.results import ClassScore, Tokens


class ChangedOutput(BaseModel):
    """An output without edits and under them: its classes, most likely first, one list an image; null if it is no vector."""

    name: str
    address: str
    shape: list[int]
    clean: list[list[ClassScore]] | None
    edited: list[list[ClassScore]] | None
    flipped: list[bool] | None = Field(description="whether the most likely class is another one")


class EffectRow(BaseModel):
    """How much smaller the score and the output of a target are under the edits."""

    score: float | None
    output: float | None
    recovery: float | None = Field(
        description="of edits that patch in values of one other image: how much of the way to its score they go; null where it has"
        " the same score"
    )


class ChangedLayer(BaseModel):
    """How far the values of a layer under the edits are from those without, over all images."""

    address: str
    relative_l2: float | None = Field(description="null for a change from nothing but zeros")
    cosine: float
    max: float = Field(description="largest absolute difference")


class InterventionBody(BaseModel):
    """What edits do to images. Targets and effects have one entry an image."""

    model: ModelIdentity
    images: list[str]
    preprocessing: dict[str, Any]
    warnings: list[str]
    edits: list[str]
    tokens: Tokens = None
    outputs: list[ChangedOutput]
    targets: list[TargetRow]
    effects: list[EffectRow]
    layers: list[ChangedLayer]
