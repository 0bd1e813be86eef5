"""The options of every answer: one name for each, in query string, form field and JSON key alike."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from layerscope.attribution import MethodOptions, method_of
from layerscope.attribution.method import ARGMAX, TargetName
from layerscope.errors import InvalidSelector, OptionInvalid
from layerscope.graph.taps.selectors import split_selectors
from layerscope.render import PictureOptions
from layerscope.tensors.options import TensorOptions

REPEATABLE = frozenset({"image", "layers", "methods"})
"""The options that a query or a form may have several times."""


def _numbers(value: object) -> object:
    """`0,1,2` in a query string is [0, 1, 2] in JSON."""
    return value.split(",") if isinstance(value, str) and value != "shared" else value


def _list(value: object) -> object:
    """One value stands for a list of one."""
    return [value] if isinstance(value, str) else value


def _channels(value: object) -> object:
    """A number or a list of numbers in JSON is `0,3,5` in a query string."""
    numbers = value if isinstance(value, list) else [value]
    return ",".join(map(str, numbers)) if all(type(number) is int for number in numbers) else value


def read_selectors(values: Sequence[str]) -> list[str]:
    """Take selectors apart.

    Raises:
        InvalidSelector: there is none.
    """
    selectors = split_selectors(values)
    if not selectors:
        raise InvalidSelector("There is no layer selector: give addresses, patterns, or all.")
    return selectors


def _selector(value: str) -> str:
    read_selectors([value])
    return value


def read_methods(values: Sequence[str]) -> list[str]:
    """Take names of attribution methods apart.

    Raises:
        OptionInvalid: there is no such method.
    """
    names = [name.strip() for value in values for name in value.split(",")]
    return [method_of(name).name for name in dict.fromkeys(names) if name]


Names = Annotated[list[str], BeforeValidator(_list)]
Selector = Annotated[str, AfterValidator(_selector), Field(json_schema_extra={"minLength": 1})]
Selectors = Annotated[
    list[str],
    BeforeValidator(_list),
    AfterValidator(read_selectors),
    Field(json_schema_extra={"items": {"type": "string", "minLength": 1}, "minItems": 1}),
]
Methods = Annotated[list[str], BeforeValidator(_list), AfterValidator(read_methods)]
Region = Annotated[tuple[int, int, int, int], BeforeValidator(_numbers)]
Pair = Annotated[tuple[float, float], BeforeValidator(_numbers)]
Channels = Annotated[str, BeforeValidator(_channels), Field(max_length=10_000)]


class ImageOptions(BaseModel):
    """What is run: stored images, or what the request's body holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    needs_images: ClassVar[bool] = True

    image: Names = Field(default=[], description="id of a stored image; repeat it for a batch")
    preprocess: bool = Field(
        default=False, description="preprocess a .npy tensor of uint8 pixels instead of feeding it as it is"
    )


class ActivationOptions(ImageOptions):
    """Which layers' activations, and what of them."""

    layers: Selectors = Field(default=["all"], description="layer selectors, repeated or comma separated")
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
    values: bool = Field(default=True, description="whether JSON carries the values")
    statistics: bool = Field(default=False, description="whether statistics of each layer come along")
    format: Literal["json", "npy", "npz", "safetensors"] | None = Field(
        default=None, description="format of the answer; left out, the Accept header decides"
    )

    def tensor_options(self) -> TensorOptions:
        """The part of the options that makes tensors smaller."""
        return TensorOptions(
            channels=self.channels,
            region=self.region,
            stride=self.stride,
            reduce=self.reduce,
            dtype=self.dtype,
            layout=self.layout,
        )


class PlanOptions(ActivationOptions):
    """What would be asked for. Images may be left out where every image is of one size."""

    needs_images: ClassVar[bool] = False

    batch: int = Field(default=1, ge=1, description="how many images to plan for where none is named or sent")


class ColorOptions(ImageOptions):
    """What colours mean in a picture."""

    colormap: str | None = Field(
        default=None, description="a name of /v1/colormaps; left out, viridis or a diverging one"
    )
    centered: Literal["auto", "true", "false"] = Field(
        default="auto", description="whether zero is the middle of the colours"
    )
    range: Pair | None = Field(
        default=None, description="`lo,hi`: the values the colours span, instead of normalize"
    )
    percentile: Pair | None = Field(default=None, description="`lo,hi`: clip the range to these percentiles")
    scale: int = Field(default=1, ge=1, description="integer enlargement, nearest neighbour")
    colorbar: bool = Field(default=False, description="draw the colours' values beside the maps")

    def picture_options(self) -> PictureOptions:
        """The part of the options that says how it looks."""
        names = {each.name for each in fields(PictureOptions)} & set(type(self).model_fields)
        return PictureOptions(**{name: getattr(self, name) for name in names})


class FeatureMapOptions(ColorOptions):
    """Which layer's feature maps, and how they are drawn."""

    layer: Selector = Field(
        description="selectors of one layer or several, comma separated; they are drawn one below the other"
    )
    channel: int | None = Field(default=None, ge=0, description="one channel")
    channels: Channels = Field(
        default="all", description="`0,3,5-8`, `top:16` (largest mean magnitude) or `all`"
    )
    normalize: Literal["channel", "layer", "none"] = Field(
        default="channel",
        description="what shares one range of values: each channel, or all channels and images of a layer",
    )
    range: Pair | Literal["shared"] | None = Field(  # type: ignore[assignment]
        default=None,
        description="`lo,hi`: the values the colours span, instead of normalize; `shared`: one range for all layers,"
        " channels and images of the request",
    )
    columns: int | None = Field(default=None, ge=1, description="tiles in a row; left out, nearly square")
    gap: int = Field(default=1, ge=0, description="pixels between tiles")
    labels: bool = Field(default=False, description="draw each channel's number")

    def picture_options(self) -> PictureOptions:
        """The part of the options that says how it looks."""
        if self.range != "shared":
            return super().picture_options()
        return self.model_copy(update={"range": None, "normalize": "picture"}).picture_options()

    def selected_channels(self) -> str:
        """`channel` where it is given, else `channels`.

        Raises:
            OptionInvalid: both are given.
        """
        if self.channel is None:
            return self.channels
        if self.channels != "all":
            raise OptionInvalid("Give channel or channels, not both.", option="channel")
        return str(self.channel)


class GroundOptions(ColorOptions):
    """Which picture a map is laid over, and how."""

    on: Literal["original", "input"] = Field(
        default="original", description="the picture as it was sent, upright, or as it went into the model"
    )
    input: str | None = Field(
        default=None,
        max_length=200,
        description="the input whose picture it is; left out, the first that takes images",
    )
    alpha: float = Field(
        default=0.5, ge=0, le=1, description="how much the colours cover the picture, from 0 to 1"
    )
    interpolation: Literal["bilinear", "nearest"] = Field(
        default="bilinear", description="how the map is enlarged; nearest shows which value is where"
    )


class OverlayOptions(GroundOptions):
    """Which feature map is laid over the picture."""

    layer: Selector = Field(description="a selector of exactly one layer")
    channel: int | None = Field(
        default=None, ge=0, description="one channel; left out, the mean magnitude over all"
    )


class LayersOptions(ImageOptions):
    """Which layers."""

    layers: Selectors = Field(default=["all"], description="layer selectors, repeated or comma separated")


class StatisticsOptions(LayersOptions):
    """Which layers' statistics, and which histograms."""

    bins: int = Field(default=32, ge=1, le=1_024, description="bins of each histogram")
    histograms: Literal["layer", "channel", "none"] = Field(
        default="layer", description="a histogram of each layer, of each of its channels too, or none"
    )


class ReceptiveFieldOptions(ImageOptions):
    """Which unit. An image is needed only where a model takes any size."""

    needs_images: ClassVar[bool] = False

    layer: Selector = Field(description="a selector of exactly one layer")
    z: int | None = Field(default=None, ge=0, description="the unit's slice, in maps of three axes")
    y: int | None = Field(default=None, ge=0, description="the unit's row; left out, the middle one")
    x: int | None = Field(default=None, ge=0, description="the unit's column, or step of a sequence")

    def unit(self) -> dict[str, int]:
        """The place by axis, as far as it is given."""
        given = {"z": self.z, "y": self.y, "x": self.x}
        return {axis: place for axis, place in given.items() if place is not None}


class PredictionOptions(ImageOptions):
    """How many classes are told."""

    top: int = Field(default=5, ge=1, le=10_000, description="how many classes, most likely first")


class InspectOptions(PredictionOptions):
    """Which layers, what is told of them, and how their pictures look."""

    layers: Selectors = Field(default=["all"], description="layer selectors, repeated or comma separated")
    statistics: Literal["none", "layer", "channel"] = Field(
        default="layer", description="statistics of each layer, or of each of its channels too"
    )
    channels: Channels = Field(
        default="all", description="the channels in the pictures: `0,3,5-8`, `top:16` or `all`"
    )
    methods: Methods = Field(
        default=[],
        description="attribution methods whose heat maps come along, with their own defaults; repeated or comma separated",
    )
    target: TargetName = Field(
        default=ARGMAX,
        max_length=200,
        description="what heat maps explain: a class by number or name, or `argmax`, the likeliest one",
    )
    colormap: str | None = Field(default=None, description="of the pictures: a name of /v1/colormaps")
    scale: int = Field(default=1, ge=1, description="integer enlargement of the pictures")

    def picture(self, layer: str) -> FeatureMapOptions:
        """The options of a layer's picture."""
        return FeatureMapOptions(
            layer=layer, channels=self.channels, colormap=self.colormap, scale=self.scale
        )

    def explanations(self) -> dict[str, MethodOptions]:
        """The options of each attribution, by name of its method."""
        methods = [method_of(name) for name in self.methods]
        target = {"target": self.target}
        return {each.name: each.options(**target if each.has_target else {}) for each in methods}


Options = TypeVar("Options", bound=BaseModel)


def read_options(kind: type[Options], given: Mapping[str, Any]) -> Options:
    """Check options that came from a query, a form or JSON.

    Raises:
        OptionInvalid: an option is unknown or has an impossible value; the message names it.
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
