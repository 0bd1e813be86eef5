"""Sections of a picture: the maps of one layer, drawn as one grid."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """The maps of one layer, to be drawn as one grid.

    Attributes:
        maps: Values of shape (tiles, height, width), of any real type.
        names: A name for each tile, for `labels`; numbers from 0 if left out. They must be as many.
        heading: What is written above the grid where there are several, for `labels`.
    """

    maps: NDArray[np.floating]
    names: Sequence[str] | None = None
    heading: str = ""

    @property
    def labels(self) -> Sequence[str]:
        """A name for each tile."""
        return [str(number) for number in range(len(self.maps))] if self.names is None else self.names
