"""Tiles, gaps, labels and colour bar put together as one picture of palette indices."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerscope.render import lettering
from layerscope.render.inks import Inks
from layerscope.render.layout import BAR_TEXT_MARGIN, BAR_WIDTH, LABEL_HEIGHT, LABEL_MARGIN, Grid, Layout
from layerscope.render.tile_grid import Section


def compose(
    drawn: Sequence[NDArray[np.uint8]],
    layout: Layout,
    inks: Inks,
    *,
    labelled: Sequence[Section],
    ends: tuple[str, str],
) -> Image.Image:
    """Put a picture together.

    Args:
        drawn: Palette indices of the tiles of each section, shape (tiles, height, width), before enlargement.
        layout: The picture's geometry.
        inks: The palette.
        labelled: The sections, if their tiles are labelled.
        ends: What the colour bar's lower and upper end stand for, if there is one.
    """
    canvas = np.full((layout.height, layout.width), inks.background, dtype=np.uint8)
    for tiles, grid in zip(drawn, layout.grids, strict=True):
        _place(canvas, _enlarged(tiles, grid), grid, inks.background)
    if layout.bar_text_width is not None:
        _draw_bar(canvas, layout, inks.levels)
    image = Image.fromarray(canvas)
    if layout.bar_text_width is not None:
        _write_ends(image, layout, ends, inks.text)
    if labelled:
        for section, grid in zip(labelled, layout.grids, strict=True):
            _write_labels(image, grid, section, inks.text)
    return image


def _enlarged(drawn: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    scale = grid.tile_height // drawn.shape[1]
    return drawn if scale == 1 else drawn.repeat(scale, axis=1).repeat(scale, axis=2)


def _place(canvas: NDArray[np.uint8], tiles: NDArray[np.uint8], grid: Grid, background: int) -> None:
    """Lay the tiles of each row side by side, then all of them at once on the canvas."""
    across = grid.cell_width + grid.gap
    for row in range(grid.rows):
        top = grid.tile_top(row)
        in_row = tiles[row * grid.columns : (row + 1) * grid.columns]
        line = np.full((grid.tile_height, len(in_row), across), background, dtype=np.uint8)
        line[:, :, : grid.tile_width] = in_row.swapaxes(0, 1)
        width = len(in_row) * across - grid.gap
        canvas[top : top + grid.tile_height, :width] = line.reshape(grid.tile_height, -1)[:, :width]


def _draw_bar(canvas: NDArray[np.uint8], layout: Layout, levels: int) -> None:
    column = np.arange(layout.height)[::-1] * levels // layout.height
    canvas[:, layout.bar_left : layout.bar_left + BAR_WIDTH] = column[:, np.newaxis]


def _write_ends(image: Image.Image, layout: Layout, ends: tuple[str, str], ink: int) -> None:
    left = layout.bar_left + BAR_WIDTH + BAR_TEXT_MARGIN
    lowest, highest = ends
    lettering.write(image, highest, left=left, top=0, ink=ink)
    lettering.write(image, lowest, left=left, top=layout.height - lettering.HEIGHT, ink=ink)


def _write_labels(image: Image.Image, grid: Grid, section: Section, ink: int) -> None:
    if grid.heading_height:
        _write_line(image, section.heading, left=0, bottom=grid.top + grid.heading_height, ink=ink)
    for (left, top), label in zip(grid.corners(), section.labels, strict=True):
        _write_line(image, label, left=left, bottom=top, ink=ink)


def _write_line(image: Image.Image, text: str, *, left: int, bottom: int, ink: int) -> None:
    top = bottom - LABEL_HEIGHT + (LABEL_HEIGHT - lettering.HEIGHT) // 2
    lettering.write(image, text, left=left + LABEL_MARGIN, top=top, ink=ink)
