"""Layout of a picture: the position and size of every tile, label and colour bar, in pixels, from shapes alone.

The layout is known before anything is drawn, so that a picture that would be too large costs nothing.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from layerscope.errors import AnswerTooLarge
from layerscope.render import font
from layerscope.render.options import PictureOptions
from layerscope.render.tile_group import LONGEST_NAME, TileGroup

LABEL_HEIGHT = font.LINE_HEIGHT + 2
LABEL_MARGIN = 2
BAR_MARGIN = 8
BAR_WIDTH = 10
BAR_TEXT_MARGIN = 4
SHORTEST_BAR = 4 * font.LINE_HEIGHT


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """The geometry of a tile group: a grid of cells, each with an optional label above a tile, and an optional heading.

    Rows and columns of a tile may have names, at its left and above it, if every value has at least the height of a letter.

    Attributes:
        top: First row of the grid in the picture.
        tiles: Number of tiles.
        rows: Rows of the grid.
        columns: Columns of the grid.
        tile_height: Height of a tile as drawn, multiplied by `scale`.
        tile_width: Width of a tile as drawn, multiplied by `scale`.
        cell_width: Width of a tile with the names of its rows, or of the widest label if that is wider.
        label_height: Height of the strip above each tile; 0 without labels.
        heading_height: Height of the strip above the grid; 0 without a heading.
        heading_width: Width of the heading.
        gap: Pixels between cells.
        row_names_width: Width of the names at the left of each tile; 0 without.
        column_names_height: Height of the names between the label and the tile; 0 without.
    """

    top: int
    tiles: int
    rows: int
    columns: int
    tile_height: int
    tile_width: int
    cell_width: int
    label_height: int
    heading_height: int
    heading_width: int
    gap: int
    row_names_width: int = 0
    column_names_height: int = 0

    @property
    def cell_height(self) -> int:
        """Height of a label, the names of columns and their tile."""
        return self.label_height + self.column_names_height + self.tile_height

    @property
    def width(self) -> int:
        """Width of all cells and the gaps between them, or of the heading if that is wider."""
        return max(self.columns * (self.cell_width + self.gap) - self.gap, self.heading_width)

    @property
    def bottom(self) -> int:
        """The row of the picture after the last row of the grid."""
        return self.top + self.heading_height + self.rows * (self.cell_height + self.gap) - self.gap

    def tile_top(self, row: int) -> int:
        """The row of the picture in which the tiles of a grid row begin."""
        above = self.label_height + self.column_names_height
        return self.top + self.heading_height + row * (self.cell_height + self.gap) + above

    def corners(self) -> Iterator[tuple[int, int]]:
        """Column and row of the upper left pixel of each tile, in reading order."""
        for number in range(self.tiles):
            row, column = divmod(number, self.columns)
            yield column * (self.cell_width + self.gap) + self.row_names_width, self.tile_top(row)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The geometry of a picture: grids one below the other, and a colour bar to the right.

    Attributes:
        grids: The grids from the top down.
        bar_text_width: Width of the texts beside the colour bar; None without a bar.
    """

    grids: tuple[Grid, ...]
    bar_text_width: int | None

    @property
    def bar_left(self) -> int:
        """First column of the colour bar."""
        return self._grids_width + BAR_MARGIN

    @property
    def width(self) -> int:
        """Width of the picture."""
        if self.bar_text_width is None:
            return self._grids_width
        return self.bar_left + BAR_WIDTH + BAR_TEXT_MARGIN + self.bar_text_width + BAR_TEXT_MARGIN

    @property
    def height(self) -> int:
        """Height of the picture."""
        bottom = self.grids[-1].bottom
        return bottom if self.bar_text_width is None else max(bottom, SHORTEST_BAR)

    @property
    def annotated(self) -> bool:
        """Whether the picture has text."""
        return self.bar_text_width is not None or any(grid.label_height > 0 for grid in self.grids)

    @property
    def covered(self) -> bool:
        """Whether tiles cover the whole picture, so that it needs no background colour."""
        tiled = sum(grid.tiles * grid.tile_width * grid.tile_height for grid in self.grids)
        return self.width * self.height == tiled

    @property
    def _grids_width(self) -> int:
        return max(grid.width for grid in self.grids)


def plan_layout(
    groups: Sequence[TileGroup], options: PictureOptions, *, bar_text_width: int | None
) -> Layout:
    """Lay out the tiles of a picture.

    Args:
        groups: The maps, of which only the shapes are used, and their names.
        options: `columns`, `gap`, `scale` and `labels` are used.
        bar_text_width: Width of the texts beside the colour bar; None without a bar.
    """
    grids: list[Grid] = []
    for group in groups:
        top = grids[-1].bottom + options.gap if grids else 0
        grids.append(_grid(group, options, top, has_heading=options.labels and len(groups) > 1))
    return Layout(grids=tuple(grids), bar_text_width=bar_text_width)


def _grid(group: TileGroup, options: PictureOptions, top: int, *, has_heading: bool) -> Grid:
    tiles, height, width = group.maps.shape
    # Without `columns` the grid is nearly square: the square root of the number of tiles, rounded up.
    columns = min(tiles, options.columns or math.isqrt(tiles - 1) + 1)
    label_width = max(map(_text_width, group.labels)) if options.labels else 0
    names = _width_of(each.rows for each in group.sides or ()) if options.names_fit else 0
    above = _width_of(each.columns for each in group.sides or ()) if options.names_fit else 0
    return Grid(
        top=top,
        tiles=tiles,
        rows=-(-tiles // columns),
        columns=columns,
        tile_height=height * options.scale,
        tile_width=width * options.scale,
        cell_width=max(names + width * options.scale, label_width),
        label_height=LABEL_HEIGHT if options.labels else 0,
        heading_height=LABEL_HEIGHT if has_heading else 0,
        heading_width=_text_width(group.heading) if has_heading else 0,
        gap=options.gap,
        row_names_width=names,
        column_names_height=above,
    )


def _width_of(sides: Iterable[Sequence[str]]) -> int:
    """The width of the widest of several names as they are drawn; 0 without any."""
    several = {tuple(names) for names in sides}
    shown = {font.shortened(name, LONGEST_NAME) for names in several for name in names}
    return max(map(_text_width, shown), default=0)


def _text_width(text: str) -> int:
    return font.text_width(text) + 2 * LABEL_MARGIN


def require_fits(layout: Layout, picture_pixels: int) -> None:
    """Check the size of a picture against the limit.

    Raises:
        AnswerTooLarge: The picture has more than `picture_pixels` pixels.
    """
    pixels = layout.width * layout.height
    if pixels > picture_pixels:
        raise AnswerTooLarge(
            f"The picture would be {layout.width} x {layout.height} = {pixels:,} pixels, more than {picture_pixels:,}",
            ways=("draw fewer channels (channels=)", "at a smaller scale (scale=, gap=)", "for fewer images"),
            pixels=pixels,
            limit=picture_pixels,
        )
