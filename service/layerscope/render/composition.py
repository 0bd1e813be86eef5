"""Tiles, gaps, labels and colour bar put together as one picture of palette indices."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerscope.render import lettering
from layerscope.render.inks import Inks
from layerscope.render.layout import BAR_TEXT_MARGIN, BAR_WIDTH, LABEL_HEIGHT, LABEL_MARGIN, Layout


def compose(
    drawn: NDArray[np.uint8], layout: Layout, inks: Inks, *, labels: Sequence[str], ends: tuple[str, str]
) -> Image.Image:
    """Put a picture together.

    Args:
        drawn: Palette indices of the tiles, shape (tiles, height, width), before enlargement.
        layout: The picture's geometry.
        inks: The palette.
        labels: A name for each tile, if they are labelled.
        ends: What the colour bar's lower and upper end stand for, if there is one.
    """
    canvas = np.full((layout.height, layout.width), inks.background, dtype=np.uint8)
    _place(canvas, _enlarged(drawn, layout), layout, inks.background)
    if layout.bar_text_width is not None:
        _draw_bar(canvas, layout, inks.levels)
    image = Image.fromarray(canvas)
    if layout.bar_text_width is not None:
        _write_ends(image, layout, ends, inks.text)
    if layout.label_height > 0:
        _write_labels(image, layout, labels, inks.text)
    return image


def _enlarged(drawn: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint8]:
    scale = layout.tile_height // drawn.shape[1]
    return drawn if scale == 1 else drawn.repeat(scale, axis=1).repeat(scale, axis=2)


def _place(canvas: NDArray[np.uint8], tiles: NDArray[np.uint8], layout: Layout, background: int) -> None:
    """Lay the tiles of each row side by side, then all of them at once on the canvas."""
    across = layout.cell_width + layout.gap
    for row in range(layout.rows):
        top = row * (layout.cell_height + layout.gap) + layout.label_height
        in_row = tiles[row * layout.columns : (row + 1) * layout.columns]
        line = np.full((layout.tile_height, len(in_row), across), background, dtype=np.uint8)
        line[:, :, : layout.tile_width] = in_row.swapaxes(0, 1)
        width = len(in_row) * across - layout.gap
        canvas[top : top + layout.tile_height, :width] = line.reshape(layout.tile_height, -1)[:, :width]


def _draw_bar(canvas: NDArray[np.uint8], layout: Layout, levels: int) -> None:
    column = np.arange(layout.height)[::-1] * levels // layout.height
    canvas[:, layout.bar_left : layout.bar_left + BAR_WIDTH] = column[:, np.newaxis]


def _write_ends(image: Image.Image, layout: Layout, ends: tuple[str, str], ink: int) -> None:
    left = layout.bar_left + BAR_WIDTH + BAR_TEXT_MARGIN
    lowest, highest = ends
    lettering.write(image, highest, left=left, top=0, ink=ink)
    lettering.write(image, lowest, left=left, top=layout.height - lettering.HEIGHT, ink=ink)


def _write_labels(image: Image.Image, layout: Layout, labels: Sequence[str], ink: int) -> None:
    for position, label in zip(range(layout.tiles), labels, strict=True):
        row, column = divmod(position, layout.columns)
        left = column * (layout.cell_width + layout.gap) + LABEL_MARGIN
        top = row * (layout.cell_height + layout.gap) + (LABEL_HEIGHT - lettering.HEIGHT) // 2
        lettering.write(image, label, left=left, top=top, ink=ink)
