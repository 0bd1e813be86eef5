"""Where the pixels of a model's input lie in the picture they were made of."""

from dataclasses import dataclass
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from layerscope.images.pixels import Resize, framing

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels; the first pixel reaches from 0 to 1."""

Size = tuple[int, int]
"""Height and width."""


Scalar = TypeVar("Scalar", bound=np.generic)


class Turn(NamedTuple):
    """What brings a picture upright: its axes change places, then each may be reversed."""

    swaps: bool = False
    reverses_x: bool = False
    reverses_y: bool = False


TURNS = {
    1: Turn(),
    2: Turn(reverses_x=True),
    3: Turn(reverses_x=True, reverses_y=True),
    4: Turn(reverses_y=True),
    5: Turn(swaps=True),
    6: Turn(swaps=True, reverses_x=True),
    7: Turn(swaps=True, reverses_x=True, reverses_y=True),
    8: Turn(swaps=True, reverses_y=True),
}
"""By EXIF orientation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """The way from a model's input back to the picture as people see it, which is upright.

    Attributes:
        original: Height and width of the picture, upright.
        size: Height and width of the model's input.
        window: The part of the picture, before it is turned upright, that the model sees.
        place: Where that part lies in the input; what is around it is padding.
        turn: What brings the picture upright, if the model sees it as it is stored.
    """

    original: Size
    size: Size
    window: Box
    place: Box
    turn: Turn = TURNS[1]

    @classmethod
    def of(cls, original: Size, size: Size | None, resize: Resize, orientation: int = 1) -> Self:
        """Follow a picture into a model.

        Args:
            original: Height and width of the picture, upright.
            size: Height and width of the input; None if it has the picture's.
            resize: How one becomes the other.
            orientation: The EXIF orientation that is left in the input; 1 if it is upright there.
        """
        turn = TURNS[orientation]
        stored = original[::-1] if turn.swaps else original
        size = size or stored
        window, place = framing(stored, size, resize)
        return cls(original=original, size=size, window=window, place=place, turn=turn)

    @classmethod
    def identity(cls, size: Size) -> Self:
        """The geometry of an input that is itself the picture."""
        return cls.of(size, None, "stretch")

    def to_original(self, box: Box) -> Box:
        """Map a box of the input to the picture; what lies in padding comes to lie outside of the picture."""
        left, top, right, bottom = _moved(box, self.place, self.window)
        if self.turn.swaps:
            left, top, right, bottom = top, left, bottom, right
        return self._reversed((left, top, right, bottom))

    def to_input(self, box: Box) -> Box:
        """Map a box of the picture to the input; what the model does not see comes to lie outside of `place`."""
        left, top, right, bottom = self._reversed(box)
        if self.turn.swaps:
            left, top, right, bottom = top, left, bottom, right
        return _moved((left, top, right, bottom), self.window, self.place)

    def positions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Tell where in the input the centres of the picture's pixels lie, before it is turned upright.

        Returns:
            The row of each of its rows and the column of each of its columns, in pixels of the input; NaN for those
            that the model does not see.
        """
        height, width = self.original[::-1] if self.turn.swaps else self.original
        (left, top, right, bottom), (to_left, to_top, to_right, to_bottom) = self.window, self.place
        return (
            _centres(height, (top, bottom), (to_top, to_bottom)),
            _centres(width, (left, right), (to_left, to_right)),
        )

    def upright(self, picture: NDArray[Scalar]) -> NDArray[Scalar]:
        """Turn an array of rows and columns upright, as a view."""
        turned = picture.swapaxes(0, 1) if self.turn.swaps else picture
        return turned[:: -1 if self.turn.reverses_y else 1, :: -1 if self.turn.reverses_x else 1]

    def _reversed(self, box: Box) -> Box:
        left, top, right, bottom = box
        height, width = self.original
        if self.turn.reverses_x:
            left, right = width - right, width - left
        if self.turn.reverses_y:
            top, bottom = height - bottom, height - top
        return left, top, right, bottom


def _moved(box: Box, source: Box, target: Box) -> Box:
    x = (target[2] - target[0]) / (source[2] - source[0])
    y = (target[3] - target[1]) / (source[3] - source[1])
    left, top, right, bottom = box
    return (
        target[0] + (left - source[0]) * x,
        target[1] + (top - source[1]) * y,
        target[0] + (right - source[0]) * x,
        target[1] + (bottom - source[1]) * y,
    )


def _centres(count: int, window: tuple[float, float], place: tuple[float, float]) -> NDArray[np.float64]:
    centres = np.arange(count) + 0.5
    moved = place[0] + (centres - window[0]) * ((place[1] - place[0]) / (window[1] - window[0]))
    return np.where((window[0] <= centres) & (centres <= window[1]), moved, np.nan)
