"""The JSON of comparisons."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from layerscope_api.schemas.models import ModelIdentity
from layerscope_api.schemas.results import Tokens

Status = Literal["same", "rounding", "within", "drifted"]


class CandidateIdentity(ModelIdentity):
    """Which version is compared, or which file beside it: its digest is that of the file."""

    file: str | None = Field(default=None, description="the name of a `.tflite` file")


class ComparedLayer(BaseModel):
    """A layer of the reference and one of the candidate. null stands for what was not asked for or does not exist."""

    reference: str
    candidate: str
    relative_l2: float | None = Field(description="norm of the difference by norm of the reference")
    max: float | None = Field(description="largest absolute difference")
    cosine: float | None
    sqnr_db: float | None
    cka: float | None = Field(description="unbiased linear CKA, -1 to 1")
    cka_sd: float | None = Field(description="its standard deviation, by leaving out each image once")
    rsa: float | None
    silent: list[int] | None = Field(description="channels that are zero for all images, in each model")
    noise_floor: float
    status: Status | None
    reason: str | None


class ClassFlip(BaseModel):
    """An image whose most likely class changed."""

    image: str
    reference: int
    candidate: int


class AgreementBody(BaseModel):
    """How often both models predict the same class."""

    output: str
    argmax: float
    top5: float = Field(description="share of images whose class is among the candidate's five most likely")
    flips: list[ClassFlip]


class ChangedImage(BaseModel):
    """The layer in which an image changed most."""

    image: str
    layer: str
    relative_l2: float | None


class UnmatchedLayers(BaseModel):
    """Layers without a partner."""

    reference: list[str]
    candidate: list[str]


class SimilarityMatrix(BaseModel):
    """The CKA of all pairs of layers."""

    reference: list[str]
    candidate: list[str]
    cka: list[list[float | None]]


class ComparisonBody(BaseModel):
    """A comparison of two models."""

    reference: ModelIdentity
    candidate: CandidateIdentity
    images: list[str]
    warnings: list[str]
    edits: list[str] | None = Field(default=None, description="those of the candidate, where it is edited")
    seed: int | None = Field(default=None, description="of a model that draws random numbers")
    tokens: Tokens = None
    verdict: Status | None
    first: str | None = Field(description="the first layer beyond the tolerance")
    origins: list[str] = Field(description="layers that changed although nothing before them did")
    noise_floor: float
    agreement: list[AgreementBody]
    worst_images: list[ChangedImage]
    unmatched: UnmatchedLayers
    fused: list[str] = Field(
        description="layers that have no tensor of their own in a `.tflite` file, because they were fused into others"
    )
    layers: list[ComparedLayer]
    matrix: SimilarityMatrix | None


class ComparedValues(BaseModel):
    """What one layer makes of two images. null stands for a change from nothing but zeros."""

    address: str
    relative_l2: float | None
    max: float
    cosine: float
    channels: int
    changed: float | None = Field(description="share of channels that changed by more than `changed_by`")


class ImageComparisonBody(BaseModel):
    """A comparison of two images in one model."""

    model: ModelIdentity
    images: list[str]
    preprocessing: dict[str, Any]
    warnings: list[str]
    edits: list[str] | None = Field(default=None, description="those of an edited model")
    seed: int | None = Field(default=None, description="of a model that draws random numbers")
    tokens: Tokens = None
    layers: list[ComparedValues]
