"""Data sets over HTTP: what is registered, and the JSON about it."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from layerscope.extraction.catalog import DATA_SET_NAME


class Registration(BaseModel):
    """What a data set is registered as."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        pattern=f"^{DATA_SET_NAME}$", description="lower case letters, digits, dots, dashes and underscores"
    )
    data: str = Field(
        max_length=1100,
        description="the images: a place that the operator has named and what is below it, such as `photos:2026/`. A folder, a"
        " pattern, a .tar or .zip archive, a .parquet table, a .npy or .npz array, texts in a .jsonl"
        " file, or a .txt list",
    )
    labels: str = Field(
        default="none",
        max_length=1100,
        description="`folders` for the folder that each image is in; `column:NAME` for a column of the .parquet table that has the"
        " images; `csv:photos:labels.csv` for a table with the columns `path` and `label`; or `none`",
    )


class DataSetRow(BaseModel):
    """A registered data set."""

    name: str
    data: str = Field(description="where its images are")
    labels: str = Field(description="where its labels are from")
    digest: str = Field(
        description="SHA-256 of the list of images: their paths, lengths, times of the last change, and labels"
    )
    images: int = Field(description="how many it has, numbered from 0 on")
    bytes: int = Field(description="of all images together")
    created: datetime


class LabelCount(BaseModel):
    """How many images have a label."""

    label: str
    images: int


class DataSetBody(DataSetRow):
    """A registered data set, with its labels."""

    label_counts: list[LabelCount]
    unlabelled: int = Field(description="images without a label")


class DataSetList(BaseModel):
    """A page of the registered data sets, by name."""

    datasets: list[DataSetRow]
    total: int
    next: int | None = Field(description="where the next page starts; null behind the last")


class DataSetImage(BaseModel):
    """One image of a data set, as it was listed."""

    number: int
    image: str = Field(description="what names it in requests (image=)")
    path: str
    label: str | None
    bytes: int | None = Field(description="its length; null if it could not be found")


class DataSetImageBody(DataSetImage):
    """One image of a data set as it is: what is told of stored images. A tensor has a shape instead of a size."""

    width: int | None
    height: int | None
    mode: str | None
    format: str = Field(description="of the image; `tensor` for a tensor, `text` for a text")
    orientation_applied: int
    notes: list[str] = Field(
        description="what decoding does to it: frames left out, depths and modes converted"
    )
    shape: list[int] | None = Field(description="of a tensor; null for an image or a text")


class DataSetImages(BaseModel):
    """A page of the images of a data set."""

    digest: str = Field(description="of the data set")
    rows: list[DataSetImage]
    total: int
    next: int | None = Field(description="where the next page starts; null behind the last")
