"""The options of pictures: colours, feature maps and overlays."""

from dataclasses import fields
from typing import Literal

from pydantic import Field

from layerscope.errors import OptionInvalid
from layerscope.render import PictureOptions
from layerscope_api.schemas.option_types import Channels, Pair, Selector, Slices
from layerscope_api.schemas.options import ChangeOptions, RunOptions

_SCALE_OF_NAMES = 12
"""The height of a row whose name is drawn: that of a letter, and a pixel between it and the next."""


class ColorOptions(RunOptions):
    """The options of every picture: the colormap, the range of values and the scale."""

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
        """The options of `layerscope.render`."""
        names = {each.name for each in fields(PictureOptions)} & set(type(self).model_fields)
        given = {name: getattr(self, name) for name in names}
        if getattr(self, "change", False) and self.centered == "auto":
            # No change is the middle of the colours, whatever the signs of the others.
            given["centered"] = "true"
        return PictureOptions(**given)


class FeatureMapOptions(ColorOptions, ChangeOptions):
    """The options of a picture of feature maps: the layers, the channels and their arrangement."""

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
    scale: int | None = Field(  # type: ignore[assignment]
        default=None,
        ge=1,
        description="integer enlargement, nearest neighbour; left out, 12 where `labels` names tokens, else 1",
    )
    labels: bool = Field(
        default=False,
        description="draw each channel's number, and beside rows and columns of tokens what these are, or their numbers",
    )

    slice: Slices | None = Field(
        default=None,
        description="`0,3,5-8`: the slices of volumes, or the frames of films, that are drawn; left out, all",
    )
    curves: bool = Field(
        default=False,
        description="draw each channel as a curve, of layers that count channels and one more axis, such as time; of `all`"
        " channels the first 16",
    )

    def picture_options(self, *, has_names: bool = False) -> PictureOptions:
        """The options of `layerscope.render`.

        Args:
            has_names: whether rows or columns of the maps have names.
        """
        if self.scale is None:
            scale = _SCALE_OF_NAMES if has_names and self.labels else 1
            return self.model_copy(update={"scale": scale}).picture_options()
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


class BackgroundOptions(ColorOptions):
    """The options of every overlay: the image below the map, and how the map covers it."""

    on: Literal["original", "input"] = Field(
        default="original", description="the picture as it was sent, upright, or as it went into the model"
    )
    input: str | None = Field(
        default=None,
        max_length=200,
        description="the input whose picture it is; left out, the first image that the map is computed from",
    )
    alpha: float = Field(
        default=0.5, ge=0, le=1, description="how much the colours cover the picture, from 0 to 1"
    )
    interpolation: Literal["bilinear", "nearest"] = Field(
        default="bilinear", description="how the map is enlarged; nearest shows which value is where"
    )


class OverlayOptions(BackgroundOptions, ChangeOptions):
    """The options of an overlay of a feature map: the layer and the channel."""

    layer: Selector = Field(description="a selector of exactly one layer")
    channel: int | None = Field(
        default=None, ge=0, description="one channel; left out, the mean magnitude over all"
    )
