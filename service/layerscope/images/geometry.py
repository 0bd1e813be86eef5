"""Geometry of preprocessing: the relation between pixels of a model's input and pixels of the picture it was made of."""

from dataclasses import dataclass
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from layerscope.images.pixels import Resize, framing

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels; the first pixel reaches from 0 to 1."""

Size = tuple[int, int]
"""Height and width in pixels."""


Scalar = TypeVar("Scalar", bound=np.generic)


class Orientation(NamedTuple):
    """The transformation that turns a stored picture upright: exchange the axes, then reverse each if needed."""

    swaps_axes: bool = False
    reverses_x: bool = False
    reverses_y: bool = False


ORIENTATIONS = {
    1: Orientation(),
    2: Orientation(reverses_x=True),
    3: Orientation(reverses_x=True, reverses_y=True),
    4: Orientation(reverses_y=True),
    5: Orientation(swaps_axes=True),
    6: Orientation(swaps_axes=True, reverses_x=True),
    7: Orientation(swaps_axes=True, reverses_x=True, reverses_y=True),
    8: Orientation(swaps_axes=True, reverses_y=True),
}
"""The transformation for each EXIF orientation, 1 to 8."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """The mapping between a model's input and the upright picture that it was made of.

    Preprocessing takes a box of the picture as it is stored (`source`), resizes it, and puts it into a box of the
    input (`target`). The way back reverses that and then turns the picture upright. Both boxes are linear in each
    axis, so that one scale and one offset per axis describe the mapping.

    Attributes:
        original: Height and width of the upright picture.
        size: Height and width of the model's input.
        source: The box of the stored picture that the model sees.
        target: The box of the input that shows it; the rest of the input is padding.
        orientation: The transformation that turns the picture upright, if the model sees it as it is stored.
    """

    original: Size
    size: Size
    source: Box
    target: Box
    orientation: Orientation = ORIENTATIONS[1]

    @classmethod
    def of(cls, original: Size, size: Size | None, resize: Resize, orientation: int = 1) -> Self:
        """The geometry of a picture that is resized to a model's input.

        Args:
            original: Height and width of the upright picture.
            size: Height and width of the input; None if they are those of the stored picture.
            resize: How the picture is fitted to the input, see `Preprocessing`.
            orientation: The EXIF orientation, 1 to 8, that is left in the input; 1 if the input is upright.
        """
        upright = ORIENTATIONS[orientation]
        stored = original[::-1] if upright.swaps_axes else original
        size = size or stored
        source, target = framing(stored, size, resize)
        return cls(original=original, size=size, source=source, target=target, orientation=upright)

    @classmethod
    def identity(cls, size: Size) -> Self:
        """The geometry of an input that is the picture itself."""
        return cls.of(size, None, "stretch")

    def to_original(self, box: Box) -> Box:
        """Map a box of the input to the upright picture. Boxes in padding map to places outside the picture."""
        left, top, right, bottom = _mapped(box, self.target, self.source)
        if self.orientation.swaps_axes:
            left, top, right, bottom = top, left, bottom, right
        return self._reversed((left, top, right, bottom))

    def to_input(self, box: Box) -> Box:
        """Map a box of the upright picture to the input. Parts the model does not see map to places outside `target`."""
        left, top, right, bottom = self._reversed(box)
        if self.orientation.swaps_axes:
            left, top, right, bottom = top, left, bottom, right
        return _mapped((left, top, right, bottom), self.source, self.target)

    def positions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The positions, in the input, of the centres of the stored picture's pixels.

        Returns:
            For each row of the stored picture its y, and for each column its x, in pixels of the input, float64 of
            shape (height,) and (width,); NaN for rows and columns that the model does not see.
        """
        height, width = self.original[::-1] if self.orientation.swaps_axes else self.original
        (left, top, right, bottom), (to_left, to_top, to_right, to_bottom) = self.source, self.target
        return (
            _mapped_centres(height, (top, bottom), (to_top, to_bottom)),
            _mapped_centres(width, (left, right), (to_left, to_right)),
        )

    def upright(self, picture: NDArray[Scalar]) -> NDArray[Scalar]:
        """Turn an array of rows and columns upright, as a view."""
        turned = picture.swapaxes(0, 1) if self.orientation.swaps_axes else picture
        y_step = -1 if self.orientation.reverses_y else 1
        x_step = -1 if self.orientation.reverses_x else 1
        return turned[::y_step, ::x_step]

    def _reversed(self, box: Box) -> Box:
        left, top, right, bottom = box
        height, width = self.original
        if self.orientation.reverses_x:
            left, right = width - right, width - left
        if self.orientation.reverses_y:
            top, bottom = height - bottom, height - top
        return left, top, right, bottom


def _mapped(box: Box, source: Box, target: Box) -> Box:
    """The linear mapping that takes the source box to the target box, applied to a box."""
    x = (target[2] - target[0]) / (source[2] - source[0])
    y = (target[3] - target[1]) / (source[3] - source[1])
    left, top, right, bottom = box
    return (
        target[0] + (left - source[0]) * x,
        target[1] + (top - source[1]) * y,
        target[0] + (right - source[0]) * x,
        target[1] + (bottom - source[1]) * y,
    )


def _mapped_centres(
    count: int, source: tuple[float, float], target: tuple[float, float]
) -> NDArray[np.float64]:
    """The centres of `count` pixels, mapped along one axis; NaN for those outside the source."""
    centres = np.arange(count) + 0.5
    mapped = target[0] + (centres - source[0]) * ((target[1] - target[0]) / (source[1] - source[0]))
    return np.where((source[0] <= centres) & (centres <= source[1]), mapped, np.nan)
