"""From the activations of layers to the groups of a picture, with a tile for what is one map of a layer."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from layerscope.limits import Limits
from layerscope.render import TileGroup, building_bytes, picture_layout, tiles
from layerscope.render.layout import Layout, require_fits
from layerscope.tensors.activations import Activation
from layerscope.tensors.channels import ChannelSelection
from layerscope.tensors.spec import TensorSpec
from layerscope_api.schemas.picture_options import FeatureMapOptions


class Place(NamedTuple):
    """What of a layer a tile shows.

    Attributes:
        image: The number of the image in its batch.
        channel: The number of the channel; None where all of them are in the tile.
        slice: The number of the slice, of maps of three axes; else None.
    """

    image: int
    channel: int | None
    slice: int | None

    @property
    def name(self) -> str:
        """What a label says of it: the channel, or the image where all channels are in the tile."""
        name = str(self.image if self.channel is None else self.channel)
        return name if self.slice is None else f"{name}:{self.slice}"


def drawing_bytes(specs: Sequence[TensorSpec], options: FeatureMapOptions, limits: Limits) -> int:
    """The bytes of memory that drawing layers takes, told from their shapes alone.

    Raises:
        LayerscopeError: one cannot be drawn, or the picture would be too large.
    """
    layout, values = planned(specs, options, limits)
    return building_bytes(layout, values)


def planned(specs: Sequence[TensorSpec], options: FeatureMapOptions, limits: Limits) -> tuple[Layout, int]:
    """The layout of the picture of layers, told from their shapes alone, and how many values drawing it takes.

    Raises:
        LayerscopeError: one cannot be drawn, or the picture would be too large.
    """
    channels = options.selected_channels()
    groups = [_planned(spec, channels) for spec in specs]
    layout = picture_layout([group for group, _ in groups], options.picture_options())
    require_fits(layout, limits.picture_pixels)
    return layout, sum(values for _, values in groups)


def tile_group(activation: Activation, *, labelled: bool) -> TileGroup:
    """The maps of a layer, image after image and in each channel after channel, with their names if they are drawn.

    Raises:
        NoPicture: See `tiles`.
    """
    axis = _axis_of(activation)
    maps = np.concatenate([tiles(image, axis) for image in activation.values])
    names = [place.name for place in places_of(activation)] if labelled else None
    return TileGroup(maps=maps, names=names, heading=activation.tap.address)


def places_of(activation: Activation) -> list[Place]:
    """What each map of a layer shows, in the order of `tile_group`.

    Raises:
        NoPicture: See `tiles`.
    """
    images, *shape = activation.values.shape
    axis = _axis_of(activation)
    count = _tiles_of_image(shape, axis)[0]
    if axis is None or len(shape) < 2:
        return [Place(image, None, None) for image in range(images) for _ in range(count)]
    chosen = np.arange(shape[axis]) if activation.channels is None else activation.channels
    channels = np.broadcast_to(chosen, (images, shape[axis])).tolist()
    slices = range(count // shape[axis]) if len(shape) > 3 else [None]
    return [
        Place(image, channel, number)
        for image, listed in enumerate(channels)
        for channel in listed
        for number in slices
    ]


def _planned(whole: TensorSpec, channels: str) -> tuple[TileGroup, int]:
    """What `tile_group` will give, without values and with the widest name only; and how many values that takes."""
    selection, drawn = ChannelSelection.parse(channels), whole.select(channels)
    images, *shape = drawn.shape
    axis = _channel_axis(drawn.channel_axis, len(shape), is_whole=selection.is_all)
    count, height, width = _tiles_of_image(shape, axis)
    nothing = np.broadcast_to(np.float32(0), (images * count, height, width))
    values = drawn.size if selection.top is None else whole.size
    last = Place(images - 1, None, None)
    if axis is not None and len(shape) > 1:
        channel = max(selection.listed, default=whole.channels - 1)
        last = Place(images - 1, channel, count // shape[axis] - 1 if len(shape) > 3 else None)
    return TileGroup(maps=nothing, names=[last.name], heading=whole.address), values


def _axis_of(activation: Activation) -> int | None:
    rank = activation.values.ndim - 1
    return _channel_axis(activation.channel_axis, rank, is_whole=activation.channels is None)


def _tiles_of_image(shape: Sequence[int], axis: int | None) -> tuple[int, ...]:
    """How many tiles one image gives, their height and their width."""
    return tiles(np.broadcast_to(np.float32(0), shape), axis).shape


def _channel_axis(axis: int | None, rank: int, *, is_whole: bool) -> int | None:
    """The channel axis of one image. A sequence of vectors is one matrix, unless some of its channels were chosen."""
    is_sequence = rank == 2 and is_whole
    return None if axis is None or is_sequence else axis - 1
