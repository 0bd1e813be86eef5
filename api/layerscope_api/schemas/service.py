"""The JSON about the service itself: errors, stored images, limits, versions and probes."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ErrorBody(BaseModel):
    """What every error looks like."""

    error: str = Field(description="one sentence a person can act on")
    code: str = Field(description="a stable name of what went wrong")
    request_id: str
    details: dict[str, Any] = Field(description="the figures and names in the sentence")


class ImageBody(BaseModel):
    """A stored image; or a tensor or text, which have neither width and height nor mode."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    width: int | None
    height: int | None
    mode: str | None
    format: str = Field(description="of the image; `npy` for a tensor, `text` for a text")
    orientation_applied: int
    expires: datetime
    notes: list[str] = Field(
        description="what decoding does to it: frames left out, depths and modes converted"
    )


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
