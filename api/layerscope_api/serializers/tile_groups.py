"""Tile groups: the maps of one layer as tiles, and what each tile shows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import OptionInvalid
from layerscope.render import TileGroup, tiles
from layerscope.tensors.activations import Activation
from layerscope.tensors.channels import ChannelSelection
from layerscope.tensors.spec import TensorSpec
from layerscope_api.serializers.slices import chosen_slices
from layerscope_api.serializers.token_names import (
    DrawnTokens,
    NamesOf,
    numbers_as_names,
    sides_of,
    widest_names,
)


class TileContent(NamedTuple):
    """What a tile shows of a layer.

    Attributes:
        image: the number of the image in its batch.
        channel: the number of the channel; None where the tile shows all channels.
        slice: the number of the slice, for maps of three axes; else None.
    """

    image: int
    channel: int | None
    slice: int | None

    @property
    def name(self) -> str:
        """The label of the tile: the channel, or the image where the tile shows all channels."""
        name = str(self.image if self.channel is None else self.channel)
        return name if self.slice is None else f"{name}:{self.slice}"


def have_names(groups: Sequence[TileGroup]) -> bool:
    """Whether rows or columns of any tile have names."""
    return any(group.sides for group in groups)


def tile_group(
    activation: Activation,
    *,
    labelled: bool,
    tokens: DrawnTokens | None = None,
    slices: str | None = None,
) -> TileGroup:
    """The maps of a layer as tiles, ordered by image and then by channel; with their names if they are labelled.

    Args:
        activation: the values.
        labelled: whether tiles have names.
        tokens: of texts; without them, all places are drawn, and have their numbers as names.
        slices: those of each map that are drawn, see `chosen_slices`; None for all.

    Raises:
        NoPicture: see `tiles`.
        OptionInvalid: there is no such slice.
    """
    folded = activation.folded()
    axis, drawn = _axis_of(folded), folded if tokens is None else tokens.of(folded)
    maps = np.concatenate([tiles(_cut(drawn.spec, axis, image, slices), axis) for image in drawn.values])
    heading = activation.tap.address
    if not labelled:
        return TileGroup(maps=maps, heading=heading)
    contents = tile_contents(activation, slices)
    names: Sequence[NamesOf] = [
        numbers_as_names if tokens is None else tokens.names_of(image) for image in range(len(folded.values))
    ]
    found = [sides_of(folded.spec, axis, each) for each in names]
    by_image = [each for each in found if each is not None]
    sides = [by_image[each.image] for each in contents] if by_image else None
    return TileGroup(maps=maps, names=[each.name for each in contents], heading=heading, sides=sides)


def tile_contents(activation: Activation, slices: str | None = None) -> list[TileContent]:
    """What each tile of a layer shows, in the order of `tile_group`.

    Raises:
        NoPicture: see `tiles`.
        OptionInvalid: there is no such slice.
    """
    folded = activation.folded()
    images, *shape = folded.values.shape
    axis = _axis_of(folded)
    count = _tiles_of_image(shape, axis)[0]
    if axis is None or len(shape) < 2:
        return [TileContent(image, None, None) for image in range(images) for _ in range(count)]
    chosen = np.arange(shape[axis]) if activation.channels is None else activation.channels
    channels = np.broadcast_to(chosen, (images, shape[axis])).tolist()
    drawn: Sequence[int | None] = [None]
    if len(shape) > 3:
        drawn = chosen_slices(slices or "all", count // shape[axis])
    return [
        TileContent(image, channel, number)
        for image, listed in enumerate(channels)
        for channel in listed
        for number in drawn
    ]


def blank_group(whole: TensorSpec, channels: str, slices: str | None = None) -> tuple[TileGroup, int]:
    """The group that `tile_group` will give, with blank tiles and the widest name; and how many values it is drawn from.

    Args:
        whole: all values of the layer.
        channels: those that are drawn.
        slices: as for `tile_group`.
    """
    selection, drawn = ChannelSelection.parse(channels), whole.select(channels).folded()
    images, *shape = drawn.shape
    axis = _channel_axis(drawn.channel_axis, len(shape), is_whole=selection.is_all)
    count, height, width = tiles(_cut(drawn, axis, np.broadcast_to(np.float32(0), shape), slices), axis).shape
    blank = np.broadcast_to(np.float32(0), (images * count, height, width))
    # `top:n` chooses channels by their values, so it reads all of them.
    values = drawn.size if selection.top is None else whole.size
    last = TileContent(images - 1, None, None)
    if axis is not None and len(shape) > 1:
        channel = max(selection.listed, default=whole.channels - 1)
        deepest = (
            max(chosen_slices(slices or "all", shape[_axis_of_slices(axis)])) if len(shape) > 3 else None
        )
        last = TileContent(images - 1, channel, deepest)
    sides = sides_of(drawn, axis, widest_names)
    group = TileGroup(maps=blank, names=[last.name], heading=whole.address, sides=[sides] if sides else None)
    return group, values


def _cut(
    spec: TensorSpec, axis: int | None, image: NDArray[np.generic], slices: str | None
) -> NDArray[np.generic]:
    """The values of one image with the chosen slices only.

    Raises:
        OptionInvalid: there are none, or no such ones.
    """
    if slices is None:
        return image
    if axis is None or image.ndim != 4:
        message = f"{spec.address} has no slices: slice= is for volumes and films, with three axes beside the channels."
        raise OptionInvalid(message, option="slice", layer=spec.address)
    along = _axis_of_slices(axis)
    return image.take(chosen_slices(slices, image.shape[along]), along)


def _axis_of_slices(channel_axis: int) -> int:
    """The first axis of one image that does not count channels."""
    return 1 if channel_axis == 0 else 0


def _axis_of(activation: Activation) -> int | None:
    rank = activation.values.ndim - 1
    return _channel_axis(activation.channel_axis, rank, is_whole=activation.channels is None)


def _tiles_of_image(shape: Sequence[int], axis: int | None) -> tuple[int, ...]:
    """The number of tiles of one image, their height and their width."""
    return tiles(np.broadcast_to(np.float32(0), shape), axis).shape


def _channel_axis(axis: int | None, rank: int, *, is_whole: bool) -> int | None:
    """The channel axis of one image. A sequence of vectors is drawn as one matrix, unless channels were selected."""
    is_sequence = rank == 2 and is_whole
    return None if axis is None or is_sequence else axis - 1
