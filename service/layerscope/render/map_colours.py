"""Map colours: the colours of one map of any number of axes, for pictures that draw it beside or over other things."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import AnswerTooLarge
from layerscope.limits import Limits
from layerscope.render import image_files, normalization
from layerscope.render.image_files import PictureFormat
from layerscope.render.options import PictureOptions
from layerscope.render.palette import BACKGROUND, make_palette
from layerscope.render.picture import Picture
from layerscope.render.scale import Scale

Canvas = NDArray[np.uint8]
"""Red, green and blue, (height, width, 3)."""


class MapColours:
    """The colours of the values of one map.

    Args:
        heat: The map, of any shape.
        options: `colormap`, `centered`, `range` and `percentile` are used.
    """

    def __init__(self, heat: NDArray[np.floating], options: PictureOptions) -> None:
        values = heat.reshape(1, 1, -1).astype(np.result_type(heat.dtype, np.float32), copy=False)
        self.scale = Scale.of([values], options)
        self._extremes = self.scale.extremes[0]
        self.palette = make_palette(
            self.scale.colormap, background=True, text=True, nonfinite=self._extremes.nonfinite is not None
        )

    @property
    def ends(self) -> tuple[float, float]:
        """The values of the first and the last colour; NaN if no value is finite."""
        return self.scale.ends

    def of(self, values: NDArray[np.floating]) -> Canvas:
        """The colours of values, which may be interpolated ones: (*shape, 3)."""
        flat = values.reshape(1, 1, -1)
        nonfinite = None if self._extremes.nonfinite is None else ~np.isfinite(flat)
        drawn = normalization.indices(
            flat,
            replace(self._extremes, nonfinite=nonfinite),
            self.scale.ranges[0],
            levels=self.palette.levels,
            nonfinite_index=self.palette.nonfinite,
        )
        return self.palette.colours[drawn].reshape(*values.shape, 3)

    def picture(
        self,
        canvas: Canvas,
        metadata: Mapping[str, str] | None,
        form: PictureFormat,
        notes: Sequence[str] = (),
    ) -> Picture:
        """The file of a picture in these colours."""
        height, width, _ = canvas.shape
        lowest, highest = self.ends
        return Picture(
            data=image_files.encode_rgb(canvas, {**(metadata or {}), **self.scale.text_entries}, form=form),
            media_type=image_files.MEDIA_TYPES[form],
            width=width,
            height=height,
            value_min=lowest,
            value_max=highest,
            colormap=self.scale.colormap,
            nonfinite=self.scale.nonfinite,
            notes=(*notes, *self.scale.notes(self.palette)),
        )


def blank(height: int, width: int) -> Canvas:
    """A picture with nothing in it."""
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def blended(colours: Canvas, below: Canvas, alpha: float) -> Canvas:
    """Colours over a picture, of which `1 - alpha` is seen."""
    mixed = alpha * colours.astype(np.float32) + (1 - alpha) * below
    return np.rint(mixed).astype(np.uint8)


def require_pixels(size: tuple[int, int], limits: Limits, *ways: str) -> None:
    """Check the height and width of a picture.

    Args:
        size: Height and width.
        limits: `picture_pixels` is the bound.
        ways: What makes it smaller.

    Raises:
        AnswerTooLarge: It would have too many pixels.
    """
    height, width = size
    if height * width > limits.picture_pixels:
        raise AnswerTooLarge(
            f"The picture would be {width} x {height} = {width * height:,} pixels, more than {limits.picture_pixels:,}",
            ways=ways,
            pixels=width * height,
            limit=limits.picture_pixels,
        )
