"""Composition: tiles, gaps, labels and colour bar as one picture of palette indices."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerscope.render import font
from layerscope.render.layout import BAR_TEXT_MARGIN, BAR_WIDTH, LABEL_HEIGHT, LABEL_MARGIN, Grid, Layout
from layerscope.render.palette import Palette
from layerscope.render.tile_group import LONGEST_NAME, Sides, TileGroup


def compose(
    drawn: Sequence[NDArray[np.uint8]],
    layout: Layout,
    palette: Palette,
    *,
    labelled: Sequence[TileGroup],
    ends: tuple[str, str],
) -> Image.Image:
    """Compose a picture.

    Args:
        drawn: Palette indices of each group, uint8 of shape (tiles, height, width), before enlargement by `scale`.
        layout: The geometry of the picture.
        palette: The palette.
        labelled: The groups if their tiles are labelled, else empty.
        ends: The texts at the lower and the upper end of the colour bar; unused without one.
    """
    canvas = np.full((layout.height, layout.width), palette.background, dtype=np.uint8)
    for tiles, grid in zip(drawn, layout.grids, strict=True):
        _place(canvas, _enlarged(tiles, grid), grid, palette.background)
    if layout.bar_text_width is not None:
        _draw_bar(canvas, layout, palette.levels)
    image = Image.fromarray(canvas)
    if layout.bar_text_width is not None:
        _write_ends(image, layout, ends, palette.text)
    if labelled:
        for group, grid in zip(labelled, layout.grids, strict=True):
            _write_labels(image, grid, group, palette.text)
    return image


def _enlarged(drawn: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    scale = grid.tile_height // drawn.shape[1]
    return drawn if scale == 1 else drawn.repeat(scale, axis=1).repeat(scale, axis=2)


def _place(canvas: NDArray[np.uint8], tiles: NDArray[np.uint8], grid: Grid, background: int) -> None:
    """Copy the tiles to the canvas, one row of the grid at a time.

    The tiles of a row are first put side by side in one array: one copy a row instead of one a tile, since a layer can
    have thousands of tiles.
    """
    across = grid.cell_width + grid.gap
    for row in range(grid.rows):
        top = grid.tile_top(row)
        in_row = tiles[row * grid.columns : (row + 1) * grid.columns]
        line = np.full((grid.tile_height, len(in_row), across), background, dtype=np.uint8)
        left = grid.row_names_width
        line[:, :, left : left + grid.tile_width] = in_row.swapaxes(0, 1)
        width = len(in_row) * across - grid.gap
        canvas[top : top + grid.tile_height, :width] = line.reshape(grid.tile_height, -1)[:, :width]


def _draw_bar(canvas: NDArray[np.uint8], layout: Layout, levels: int) -> None:
    column = np.arange(layout.height)[::-1] * levels // layout.height
    canvas[:, layout.bar_left : layout.bar_left + BAR_WIDTH] = column[:, np.newaxis]


def _write_ends(image: Image.Image, layout: Layout, ends: tuple[str, str], color: int) -> None:
    left = layout.bar_left + BAR_WIDTH + BAR_TEXT_MARGIN
    lowest, highest = ends
    font.draw_text(image, highest, left=left, top=0, color=color)
    font.draw_text(image, lowest, left=left, top=layout.height - font.LINE_HEIGHT, color=color)


def _write_labels(image: Image.Image, grid: Grid, group: TileGroup, color: int) -> None:
    if grid.heading_height:
        _write_line(image, group.heading, left=0, bottom=grid.top + grid.heading_height, color=color)
    corners = list(grid.corners())
    for (left, top), label in zip(corners, group.labels, strict=True):
        bottom = top - grid.column_names_height
        _write_line(image, label, left=left - grid.row_names_width, bottom=bottom, color=color)
    for (left, top), sides in zip(corners, group.sides or (), strict=False):
        _write_sides(image, grid, sides, left, top, color)


def _write_sides(image: Image.Image, grid: Grid, sides: Sides, left: int, top: int, color: int) -> None:
    """The names of rows and columns, as far as the layout has room for them."""
    if grid.row_names_width:
        height = grid.tile_height // max(1, len(sides.rows))
        for number, name in enumerate(sides.rows):
            shown = font.shortened(name, LONGEST_NAME)
            beside = left - LABEL_MARGIN - font.text_width(shown)
            middle = top + number * height + (height - font.LINE_HEIGHT) // 2
            font.draw_text(image, shown, left=beside, top=middle, color=color)
    if grid.column_names_height:
        width = grid.tile_width // max(1, len(sides.columns))
        for number, name in enumerate(sides.columns):
            middle = left + number * width + (width - font.LINE_HEIGHT) // 2
            shown = font.shortened(name, LONGEST_NAME)
            font.draw_upwards(image, shown, left=middle, bottom=top - LABEL_MARGIN, color=color)


def _write_line(image: Image.Image, text: str, *, left: int, bottom: int, color: int) -> None:
    top = bottom - LABEL_HEIGHT + (LABEL_HEIGHT - font.LINE_HEIGHT) // 2
    font.draw_text(image, text, left=left + LABEL_MARGIN, top=top, color=color)
