"""The JSON that the service answers with when models are changed."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from layerscope_api.schemas import VersionBody


class NamedVersionBody(VersionBody):
    """One version of a model, as it is now."""

    name: str


class LabelsBody(BaseModel):
    """The labels of a model, and the versions that they point at."""

    name: str
    labels: dict[str, int]


class FileInputBody(BaseModel):
    """An input that a model file declares; `shape` is with the batch axis, null where any size will do."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    shape: list[int | None]
    dtype: str


class FileBody(BaseModel):
    """What a model file turned out to be when it was checked."""

    model_config = ConfigDict(from_attributes=True)

    kind: Literal["keras", "hdf5"]
    digest: str = Field(description="SHA-256 of the file that was sent")
    model: str = Field(description="the model's class")
    name: str = Field(description="the model's own name")
    keras_version: str | None
    layers: dict[str, int] = Field(description="how many layers there are, by class")
    parameters: int
    weight_bytes: int
    inputs: list[FileInputBody]
    warnings: list[str]


class UploadBody(NamedVersionBody):
    """The version that a model file became, or was already."""

    file: FileBody
