"""Where everything of a picture goes, in pixels, known before anything is drawn."""

import math
from dataclasses import dataclass

from layerscope.errors import AnswerTooLarge
from layerscope.render import lettering
from layerscope.render.options import PictureOptions

LABEL_HEIGHT = lettering.HEIGHT + 2
LABEL_MARGIN = 2
BAR_MARGIN = 8
BAR_WIDTH = 10
BAR_TEXT_MARGIN = 4
SHORTEST_BAR = 4 * lettering.HEIGHT


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The geometry of a picture: a grid of cells, each a label (or none) above a tile, and a bar to the right.

    Attributes:
        tiles: How many tiles there are.
        rows: Rows of the grid.
        columns: Columns of the grid.
        tile_height: Height of a tile as drawn, `scale` included.
        tile_width: Width of a tile as drawn.
        cell_width: Width of a tile, or of the widest label if that is wider.
        label_height: Height of the strip above each tile; 0 without labels.
        gap: Pixels between cells.
        bar_text_width: Room for what is written beside the colour bar; None without one.
    """

    tiles: int
    rows: int
    columns: int
    tile_height: int
    tile_width: int
    cell_width: int
    label_height: int
    gap: int
    bar_text_width: int | None

    @property
    def cell_height(self) -> int:
        """Height of a label and its tile."""
        return self.label_height + self.tile_height

    @property
    def grid_width(self) -> int:
        """Width of all cells and the gaps between them."""
        return self.columns * (self.cell_width + self.gap) - self.gap

    @property
    def grid_height(self) -> int:
        """Height of all cells and the gaps between them."""
        return self.rows * (self.cell_height + self.gap) - self.gap

    @property
    def bar_left(self) -> int:
        """Where the colour bar begins."""
        return self.grid_width + BAR_MARGIN

    @property
    def width(self) -> int:
        """Width of the picture."""
        if self.bar_text_width is None:
            return self.grid_width
        return self.bar_left + BAR_WIDTH + BAR_TEXT_MARGIN + self.bar_text_width + BAR_TEXT_MARGIN

    @property
    def height(self) -> int:
        """Height of the picture."""
        return self.grid_height if self.bar_text_width is None else max(self.grid_height, SHORTEST_BAR)

    @property
    def annotated(self) -> bool:
        """Whether there is text."""
        return self.label_height > 0 or self.bar_text_width is not None

    @property
    def covered(self) -> bool:
        """Whether tiles cover the whole picture, so that no background shows."""
        return self.width * self.height == self.tiles * self.tile_width * self.tile_height


def plan(
    shape: tuple[int, ...],
    options: PictureOptions,
    *,
    widest_label: int | None,
    bar_text_width: int | None,
) -> Layout:
    """Lay out tiles.

    Args:
        shape: Tiles, height and width of the maps, in values.
        options: `columns`, `gap` and `scale` count.
        widest_label: Pixels of the widest label; None without labels.
        bar_text_width: Room for what is written beside the colour bar; None without one.
    """
    tiles, height, width = shape
    columns = min(tiles, options.columns or math.isqrt(tiles - 1) + 1)
    label_width = 0 if widest_label is None else widest_label + 2 * LABEL_MARGIN
    return Layout(
        tiles=tiles,
        rows=-(-tiles // columns),
        columns=columns,
        tile_height=height * options.scale,
        tile_width=width * options.scale,
        cell_width=max(width * options.scale, label_width),
        label_height=0 if widest_label is None else LABEL_HEIGHT,
        gap=options.gap,
        bar_text_width=bar_text_width,
    )


def require_room(layout: Layout, picture_pixels: int) -> None:
    """Check a picture's size against the limit.

    Raises:
        AnswerTooLarge: It has more than `picture_pixels` pixels.
    """
    pixels = layout.width * layout.height
    if pixels > picture_pixels:
        raise AnswerTooLarge(
            f"The picture would be {layout.width} x {layout.height} = {pixels:,} pixels, more than {picture_pixels:,}",
            ways=("draw fewer channels (channels=)", "at a smaller scale (scale=, gap=)", "for fewer images"),
            pixels=pixels,
            limit=picture_pixels,
        )
