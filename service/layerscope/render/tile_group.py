"""Tile group: the maps of one layer, drawn as one grid of a picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class TileGroup:
    """The maps of one layer, drawn as one grid of tiles.

    Attributes:
        maps: Values of shape (tiles, height, width), of any real type.
        names: The name of each tile, drawn with the option `labels`; None numbers the tiles from 0.
        heading: The text above the grid, drawn with the option `labels` if the picture has several groups.
    """

    maps: NDArray[np.floating]
    names: Sequence[str] | None = None
    heading: str = ""

    @property
    def labels(self) -> Sequence[str]:
        """The name of each tile."""
        return [str(number) for number in range(len(self.maps))] if self.names is None else self.names
