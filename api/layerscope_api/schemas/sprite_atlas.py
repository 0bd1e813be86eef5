"""The JSON of sprite atlases: the box of each map in a picture of feature maps."""

from pydantic import BaseModel, Field

from layerscope_api.schemas.models import ModelIdentity


class AtlasTile(BaseModel):
    """A rectangle of the picture, in pixels from its upper left corner, and what it shows.

    The first of the colours stands for `value_min`, the last for `value_max`; both are null where no value is finite.
    """

    image: int = Field(description="the number of the image in the request")
    channel: int | None = Field(description="null where all channels are in the tile, as of a vector")
    slice: int | None = Field(description="of maps of three axes; else null")
    x: int
    y: int
    width: int
    height: int
    value_min: float | None
    value_max: float | None


class AtlasLayer(BaseModel):
    """One layer in the picture: image after image, in each channel after channel, in each slice after slice."""

    address: str
    shape: list[int] = Field(description="of its values, batch axis first")
    tiles: list[AtlasTile]


class AtlasBody(BaseModel):
    """What lies where in the picture of feature maps that has the same options."""

    model: ModelIdentity
    images: list[str]
    warnings: list[str]
    edits: list[str] | None = Field(default=None, description="those of an edited model")
    seed: int | None = Field(default=None, description="of a model that draws random numbers")
    width: int = Field(description="of the picture, in pixels")
    height: int
    colormap: str
    levels: int = Field(
        description="how many colours of it: equal parts of the range from value_min to value_max"
    )
    value_min: float | None = Field(description="over all tiles")
    value_max: float | None
    nonfinite: int = Field(description="how many values are NaN or infinite, drawn in a colour of their own")
    notes: list[str] = Field(description="what the picture cannot show")
    layers: list[AtlasLayer]
