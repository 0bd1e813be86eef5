"""Picture of curves: the channels of layers over time, each as a curve in front of its values as colours."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerscope.limits import Limits
from layerscope.render import font, image_files, normalization
from layerscope.render.curves import (
    FOOT,
    GAP,
    LEFT,
    PLOT_WIDTH,
    RIGHT,
    draw_curve,
    end_texts,
    in_columns,
    panel_height,
    write_ticks,
)
from layerscope.render.image_files import PictureFormat
from layerscope.render.layout import LABEL_HEIGHT
from layerscope.render.map_colours import blank, blended, require_pixels
from layerscope.render.options import PictureOptions
from layerscope.render.palette import TEXT, Palette, make_palette
from layerscope.render.picture import Picture, maps_of_one_type
from layerscope.render.scale import Scale
from layerscope.render.tile_group import TileGroup

_ALPHA = 0.5


def curves_picture(
    groups: Sequence[TileGroup],
    options: PictureOptions,
    *,
    limits: Limits,
    axes: Sequence[str],
    metadata: Mapping[str, str] | None = None,
    form: PictureFormat = "png",
    notes: Sequence[str] = (),
) -> Picture:
    """Draw the tiles of layers, which are rows, as curves from the top down. The same arguments give the same bytes.

    A curve and the colours behind it have the same range, as tiles have it; its ends stand at the left. Values outside are
    drawn at the nearer end. Where more steps than pixels lie beside each other, a pixel shows the smallest and the largest.

    Args:
        groups: Of each layer, maps of shape (curves, 1, steps), and their names.
        options: `colormap`, `centered`, `normalize`, `range`, `percentile` and `scale` are used.
        limits: `picture_pixels` bounds the picture; it is checked before any work.
        axes: What the steps of each layer count, such as time.
        metadata: Text entries for the PNG file.
        form: The format of the file.
        notes: Sentences of the caller's own, which the picture has besides those about its values.

    Raises:
        AnswerTooLarge: The picture would have more pixels than the limit.
    """
    height, width = curves_picture_size([len(each.maps) for each in groups], options.scale)
    require_pixels((height, width), limits, "draw fewer channels (channels=)", "at a smaller scale (scale=)")
    image_files.require_format_fits(width, height, form)
    maps = maps_of_one_type(groups)
    scale = Scale.of(maps, options)
    has_nonfinite = scale.nonfinite > 0
    palette = make_palette(scale.colormap, background=True, text=True, nonfinite=has_nonfinite)
    image, top = Image.fromarray(blank(height, width)), GAP
    for number, group in enumerate(groups):
        if len(groups) > 1:
            font.draw_text(image, group.heading, left=2, top=top, color=TEXT)
            top += LABEL_HEIGHT
        drawn, texts = _panels(maps[number], scale, number, palette)
        image.paste(Image.fromarray(drawn), (LEFT, top))
        for text, left, above in texts:
            font.draw_text(image, text, left=left, top=top + above, color=TEXT)
        tall = panel_height(len(group.maps)) * options.scale
        for row, name in enumerate(group.labels):
            middle = top + row * (tall + GAP) + (tall - font.LINE_HEIGHT) // 2
            font.draw_text(image, f"#{name}", left=2, top=middle, color=TEXT)
        top += len(drawn)
        write_ticks(image, maps[number].shape[-1], drawn.shape[1], top, axes[number])
        top += FOOT + GAP
    lowest, highest = scale.ends
    entries = {**(metadata or {}), **scale.text_entries}
    return Picture(
        data=image_files.encode_rgb(np.asarray(image), entries, form=form),
        media_type=image_files.MEDIA_TYPES[form],
        width=width,
        height=height,
        value_min=lowest,
        value_max=highest,
        colormap=scale.colormap,
        nonfinite=scale.nonfinite,
        notes=(*notes, *scale.notes(palette)),
    )


def curves_picture_size(curves: Sequence[int], scale: int) -> tuple[int, int]:
    """Height and width of the picture of layers with so many curves each."""
    heading = LABEL_HEIGHT if len(curves) > 1 else 0
    panels = (count * (panel_height(count) * scale + GAP) - GAP for count in curves)
    height = GAP + sum(heading + each + FOOT + GAP for each in panels) - GAP
    return height, LEFT + PLOT_WIDTH * scale + RIGHT


def _panels(
    maps: NDArray[np.floating], scale: Scale, number: int, palette: Palette
) -> tuple[NDArray[np.uint8], list[tuple[str, int, int]]]:
    """The panels of a group with the gaps between them, and the numbers at their left with their places below its top."""
    plot, span = PLOT_WIDTH * scale.options.scale, scale.ranges[number]
    tall = panel_height(len(maps)) * scale.options.scale
    columns = np.stack([in_columns(row, plot, "nearest")[np.newaxis] for row in maps[:, 0]])
    nonfinite = ~np.isfinite(columns) if scale.extremes[number].nonfinite is not None else None
    colours = palette.colours[
        normalization.indices(
            columns,
            replace(scale.extremes[number], nonfinite=nonfinite),
            span,
            levels=palette.levels,
            nonfinite_index=palette.nonfinite,
        )
    ]
    canvas, texts = blank(len(maps) * (tall + GAP) - GAP, plot), []
    for row, values in enumerate(maps[:, 0]):
        top = row * (tall + GAP)
        panel = canvas[top : top + tall]
        panel[:] = blended(colours[row], panel, _ALPHA)
        low, high = float(span.low[row]), float(span.high[row])
        draw_curve(panel, np.where(np.isfinite(values), np.clip(values, low, high), np.nan), low, high)
        texts += end_texts(low, high, top, tall)
    return canvas, texts
