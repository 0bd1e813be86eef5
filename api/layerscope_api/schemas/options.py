"""The options of requests: the same names in the query, in form fields and in JSON.

Here are the base class, the function that validates options, and the options of requests that answer with numbers. Those of
pictures, attributions and inspections have modules of their own.
"""

import difflib
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from layerscope.errors import OptionInvalid
from layerscope.tensors.options import TensorOptions
from layerscope_api.schemas.option_types import Channels, Edits, Names, Region, Seed, Selector, Selectors

Options = TypeVar("Options", bound=BaseModel)


class ImageOptions(BaseModel):
    """The options of every request that has images: in its body, or stored ones.

    Attributes:
        needs_images: whether a request without images is refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    needs_images: ClassVar[bool] = True

    image: Names = Field(
        default=[],
        description="id of a stored image, or an image of a data set, `dataset:val/17`; repeat it for a batch",
    )
    preprocess: bool = Field(
        default=False, description="preprocess a .npy tensor of uint8 pixels instead of feeding it as it is"
    )


class RunOptions(ImageOptions):
    """The options of every request that runs a model."""

    edit: Edits = Field(
        default=[],
        description="a change inside the model, such as `conv2;channels=3,5-8;set=0`: a selector of layers, then `channels`,"
        " `region`, and `set`, `patch`, or any of `scale`, `add`, `low`, `high`; repeat it for several",
    )
    seed: Seed = 0


class ChangeOptions(RunOptions):
    """The options of requests that can show what edits change."""

    change: bool = Field(
        default=False, description="the values under the edits minus those without, both from one run"
    )


class FormatOptions(RunOptions):
    """The options of requests that are answered with tensors."""

    format: Literal["json", "npy", "npz", "safetensors"] | None = Field(
        default=None, description="format of the answer; left out, the Accept header decides"
    )


class LayersOptions(RunOptions):
    """The options of resources that need nothing but layers."""

    layers: Selectors = Field(default=["all"], description="layer selectors, repeated or comma separated")


class ReductionOptions(BaseModel):
    """The options that select and reduce the values of layers, for requests and jobs."""

    channels: Channels = Field(
        default="all", description="`0,3,5-8`, `top:16` (largest mean magnitude) or `all`"
    )
    reduce: Literal["none", "mean", "max", "l2"] = Field(
        default="none", description="one number a channel instead of a map"
    )
    region: Region | None = Field(
        default=None, description="`x0,y0,x1,y1` in pixels of the map, x1 and y1 excluded"
    )
    stride: int = Field(default=1, ge=1, description="every n-th pixel of the map")
    dtype: Literal["native", "float32", "float16", "uint8"] = Field(
        default="native", description="uint8 is affine for each channel; scale and offset come along"
    )
    layout: Literal["native", "nhwc", "nchw"] = Field(
        default="native", description="where the channel axis is"
    )

    def tensor_options(self) -> TensorOptions:
        """The options that reduce tensors."""
        return TensorOptions(
            channels=self.channels,
            region=self.region,
            stride=self.stride,
            reduce=self.reduce,
            dtype=self.dtype,
            layout=self.layout,
        )


class ActivationOptions(ReductionOptions, LayersOptions, ChangeOptions):
    """The options of activations: the layers, the selected part of their values, and the format."""

    values: bool = Field(default=True, description="whether JSON carries the values")
    statistics: bool = Field(default=False, description="whether statistics of each layer come along")
    format: Literal["json", "npy", "npz", "safetensors"] | None = Field(
        default=None, description="format of the answer; left out, the Accept header decides"
    )


class PlanOptions(ActivationOptions):
    """The options of a plan: those of activations. Images are needed only if the model takes inputs of any size."""

    needs_images: ClassVar[bool] = False

    batch: int = Field(default=1, ge=1, description="how many images to plan for where none is named or sent")


class StatisticsOptions(LayersOptions, ChangeOptions):
    """The options of statistics: the layers and the histograms."""

    bins: int = Field(default=32, ge=1, le=1_024, description="bins of each histogram")
    histograms: Literal["layer", "channel", "none"] = Field(
        default="layer", description="a histogram of each layer, of each of its channels too, or none"
    )
    positions: bool = Field(
        default=False, description="also the figures of each token or time step, of layers that have such"
    )


class ReceptiveFieldOptions(ImageOptions):
    """The options of a receptive field: the unit. An image is needed only if the model takes inputs of any size."""

    needs_images: ClassVar[bool] = False

    layer: Selector = Field(description="a selector of exactly one layer")
    z: int | None = Field(default=None, ge=0, description="the unit's slice, in maps of three axes")
    y: int | None = Field(default=None, ge=0, description="the unit's row; left out, the middle one")
    x: int | None = Field(default=None, ge=0, description="the unit's column, or step of a sequence")

    def unit(self) -> dict[str, int]:
        """The position of the unit by axis; axes without an option are left out."""
        given = {"z": self.z, "y": self.y, "x": self.x}
        return {axis: place for axis, place in given.items() if place is not None}


class PredictionOptions(RunOptions):
    """The options of predictions: the number of classes."""

    top: int = Field(default=5, ge=1, le=10_000, description="how many classes, most likely first")


def read_options(kind: type[Options], given: Mapping[str, Any]) -> Options:
    """Validate the options of a query, a form or JSON.

    Raises:
        OptionInvalid: an option is unknown, missing or invalid; the message names it.
    """
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])[:100]
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, kind.model_fields, n=3)
        hint = (
            f" Did you mean {' or '.join(near)}?" if near else f" There are {', '.join(kind.model_fields)}."
        )
        raise OptionInvalid(f"There is no option {name!r} here.{hint}", option=name, near=near)
    if first["type"] == "missing":
        raise OptionInvalid(
            f"The option {name} is missing: {kind.model_fields[name].description}.", option=name
        )
    raise OptionInvalid(f"{name} is not valid: {first['msg'].rstrip('.')}.", option=name)
