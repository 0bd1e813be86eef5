"""Sprite atlas: where each tile of a picture lies and which values its colours span, without drawing the picture."""

from collections.abc import Sequence
from dataclasses import dataclass

from layerscope.limits import Limits
from layerscope.render.options import PictureOptions
from layerscope.render.picture import checked_layout, maps_of_one_type, notes_on_names
from layerscope.render.scale import Scale
from layerscope.render.tile_group import TileGroup


@dataclass(frozen=True, kw_only=True, slots=True)
class TileBox:
    """Position and size of a tile, in pixels from the upper left corner of the picture, and the range of its colours.

    With range = value_max - value_min, colour number i of `levels` stands for the values from
    value_min + i / levels * range up to those of colour i + 1. Both ends are NaN for a tile without finite values.
    """

    x: int
    y: int
    width: int
    height: int
    value_min: float
    value_max: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SpriteAtlas:
    """The description of a picture without its pixels.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        colormap: The name of the colormap.
        levels: Number of colours of the colormap.
        value_min: The lowest value of the colours, over all tiles; NaN if no value is finite.
        value_max: The highest value of the colours, likewise.
        nonfinite: Number of values that are NaN or infinite.
        boxes: The box of every tile, for each group.
        notes: Sentences about values that the colours cannot show.
    """

    width: int
    height: int
    colormap: str
    levels: int
    value_min: float
    value_max: float
    nonfinite: int
    boxes: tuple[tuple[TileBox, ...], ...]
    notes: tuple[str, ...]


def sprite_atlas(groups: Sequence[TileGroup], options: PictureOptions, *, limits: Limits) -> SpriteAtlas:
    """Describe the picture that `render_groups` would draw: the box and range of values of every tile.

    Raises:
        AnswerTooLarge, NoPicture: As for `render_groups`.
    """
    layout = checked_layout(groups, options, limits)
    scale = Scale.of(maps_of_one_type(groups), options)
    palette = scale.palette(layout)
    lowest, highest = scale.ends
    boxes = [
        tuple(
            TileBox(x=x, y=y, width=grid.tile_width, height=grid.tile_height, value_min=low, value_max=high)
            for (x, y), low, high in zip(
                grid.corners(), value_range.low.tolist(), value_range.high.tolist(), strict=True
            )
        )
        for grid, value_range in zip(layout.grids, scale.ranges, strict=True)
    ]
    return SpriteAtlas(
        width=layout.width,
        height=layout.height,
        colormap=scale.colormap,
        levels=palette.levels,
        value_min=lowest,
        value_max=highest,
        nonfinite=scale.nonfinite,
        boxes=tuple(boxes),
        notes=(*scale.notes(palette), *notes_on_names(groups, options)),
    )
