"""Jobs over HTTP: what is asked for, and the JSON about it."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from layerscope.extraction.job import PartFormat
from layerscope.graph.runtime.plans import Runtime
from layerscope_api.schemas.option_types import Channels, Selectors
from layerscope_api.schemas.options import ReductionOptions

JobState = Literal["waiting", "running", "stopped", "done", "failed"]


class JobOptions(ReductionOptions):
    """What a job is asked for: the options of activations, for every image of a data set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(max_length=200, description="`name`, `name@version` or `name@label`")
    layers: Selectors = Field(description="layer selectors")
    # What would be another for each image is left out: its largest channels, and the scale of uint8.
    channels: Channels = Field(default="all", description="`0,3,5-8` or `all`")
    dtype: Literal["native", "float32", "float16"] = Field(
        default="native", description="type of the numbers"
    )
    data: str = Field(
        max_length=1100,
        description="the images: a place that the operator has named and what is below it, such as `photos:2026/`; or a registered"
        " data set, such as `dataset:val`",
    )
    to: str = Field(
        max_length=1100,
        description="the folder for the result, below a place that may be written, such as `features:2026/`",
    )
    format: PartFormat = Field(default="safetensors", description="format of the parts")
    part_images: int | None = Field(
        default=None, ge=1, le=100_000, description="images of a part; by default about 64 MiB"
    )
    runtime: Runtime = Field(
        default="tensorflow",
        description="what runs the model; openvino is an extra of the service, for Intel and AMD processors",
    )
    max_failed: float = Field(
        default=100, ge=0, le=100, description="end the job if more of its images fail, in percent"
    )
    retry: bool = Field(default=False, description="try images again that failed before")


class JobProgressBody(BaseModel):
    """How far a job is."""

    done: int = Field(description="images that are in the result")
    failed: int = Field(description="images that are in none of its parts")
    total: int = Field(description="all images")
    parts: int = Field(description="parts of the result that are there")
    parts_total: int = Field(description="parts that there will be")


class JobErrorBody(BaseModel):
    """Why a job failed."""

    code: str = Field(description="a stable name of what went wrong")
    message: str = Field(description="one sentence a person can act on")
    details: dict[str, Any] = Field(description="the figures and names in the sentence")


class JobBody(BaseModel):
    """A job."""

    id: str = Field(description="a digest of what was asked for: the same request is the same job")
    state: JobState
    model: str = Field(description="`name@version`")
    digest: str = Field(description="the digest of the model's files")
    layers: list[str]
    channels: str
    reduce: str
    region: tuple[int, int, int, int] | None
    stride: int
    dtype: str
    layout: str
    data: str
    to: str
    format: PartFormat
    part_images: int | None
    runtime: Runtime
    max_failed: float
    asked: datetime = Field(description="when it was asked for last")
    started: datetime | None = Field(description="when it began to run last")
    progress: JobProgressBody = Field(description="zero until the images are listed")
    error: JobErrorBody | None


class JobList(BaseModel):
    """Jobs, the one that was asked for last first."""

    jobs: list[JobBody]
    total: int
    next: int | None = Field(description="`start` of the next page; null on the last")


class FailedImage(BaseModel):
    """An image that is not in the result."""

    path: str = Field(description="its name within the data set")
    code: str
    message: str


class FailedList(BaseModel):
    """Images that are not in the result, in the order of the data set."""

    failed: list[FailedImage]
    next: int | None = Field(description="`start` of the next page; null on the last")
