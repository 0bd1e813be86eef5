"""Where everything of a picture goes, in pixels, known before anything is drawn."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from layerscope.errors import AnswerTooLarge
from layerscope.render import lettering
from layerscope.render.options import PictureOptions
from layerscope.render.tile_grid import Section

LABEL_HEIGHT = lettering.HEIGHT + 2
LABEL_MARGIN = 2
BAR_MARGIN = 8
BAR_WIDTH = 10
BAR_TEXT_MARGIN = 4
SHORTEST_BAR = 4 * lettering.HEIGHT


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """The geometry of a section: a grid of cells, each a label (or none) above a tile, below a heading (or none).

    Attributes:
        top: Where it begins in the picture.
        tiles: How many tiles there are.
        rows: Rows of the grid.
        columns: Columns of the grid.
        tile_height: Height of a tile as drawn, `scale` included.
        tile_width: Width of a tile as drawn.
        cell_width: Width of a tile, or of the widest label if that is wider.
        label_height: Height of the strip above each tile; 0 without labels.
        heading_height: Height of the strip above all of them; 0 without a heading.
        heading_width: Width of the heading.
        gap: Pixels between cells.
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

    @property
    def cell_height(self) -> int:
        """Height of a label and its tile."""
        return self.label_height + self.tile_height

    @property
    def width(self) -> int:
        """Width of all cells and the gaps between them, or of the heading if that is wider."""
        return max(self.columns * (self.cell_width + self.gap) - self.gap, self.heading_width)

    @property
    def bottom(self) -> int:
        """Where it ends in the picture."""
        return self.top + self.heading_height + self.rows * (self.cell_height + self.gap) - self.gap

    def tile_top(self, row: int) -> int:
        """Where the tiles of a row begin in the picture."""
        return self.top + self.heading_height + row * (self.cell_height + self.gap) + self.label_height

    def corners(self) -> Iterator[tuple[int, int]]:
        """The column and the row of each tile's upper left pixel."""
        for number in range(self.tiles):
            row, column = divmod(number, self.columns)
            yield column * (self.cell_width + self.gap), self.tile_top(row)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The geometry of a picture: grids one below the other, and a bar to the right.

    Attributes:
        grids: The grids from the top down.
        bar_text_width: Room for what is written beside the colour bar; None without one.
    """

    grids: tuple[Grid, ...]
    bar_text_width: int | None

    @property
    def bar_left(self) -> int:
        """Where the colour bar begins."""
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
        """Whether there is text."""
        return self.bar_text_width is not None or any(grid.label_height > 0 for grid in self.grids)

    @property
    def covered(self) -> bool:
        """Whether tiles cover the whole picture, so that no background shows."""
        tiled = sum(grid.tiles * grid.tile_width * grid.tile_height for grid in self.grids)
        return self.width * self.height == tiled

    @property
    def _grids_width(self) -> int:
        return max(grid.width for grid in self.grids)


def plan(sections: Sequence[Section], options: PictureOptions, *, bar_text_width: int | None) -> Layout:
    """Lay tiles out.

    Args:
        sections: Maps, of which the shapes count, and their names.
        options: `columns`, `gap`, `scale` and `labels` count.
        bar_text_width: Room for what is written beside the colour bar; None without one.
    """
    grids: list[Grid] = []
    for section in sections:
        top = grids[-1].bottom + options.gap if grids else 0
        grids.append(_grid(section, options, top, has_heading=options.labels and len(sections) > 1))
    return Layout(grids=tuple(grids), bar_text_width=bar_text_width)


def _grid(section: Section, options: PictureOptions, top: int, *, has_heading: bool) -> Grid:
    tiles, height, width = section.maps.shape
    columns = min(tiles, options.columns or math.isqrt(tiles - 1) + 1)
    label_width = max(map(_text_width, section.labels)) if options.labels else 0
    return Grid(
        top=top,
        tiles=tiles,
        rows=-(-tiles // columns),
        columns=columns,
        tile_height=height * options.scale,
        tile_width=width * options.scale,
        cell_width=max(width * options.scale, label_width),
        label_height=LABEL_HEIGHT if options.labels else 0,
        heading_height=LABEL_HEIGHT if has_heading else 0,
        heading_width=_text_width(section.heading) if has_heading else 0,
        gap=options.gap,
    )


def _text_width(text: str) -> int:
    return lettering.width(text) + 2 * LABEL_MARGIN


def require_fits(layout: Layout, picture_pixels: int) -> None:
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
