"""Tile group: the maps of one layer, drawn as one grid of a picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LONGEST_NAME = 16
"""The letters of the name of a row or column that are drawn at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sides:
    """What the rows and the columns of a tile are.

    Attributes:
        rows: The name of each row, drawn at the left; empty for none.
        columns: The name of each column, drawn above, from the bottom up; empty for none.
    """

    rows: Sequence[str] = ()
    columns: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class TileGroup:
    """The maps of one layer, drawn as one grid of tiles.

    Attributes:
        maps: Values of shape (tiles, height, width), of any real type.
        names: The name of each tile, drawn with the option `labels`; None numbers the tiles from 0.
        heading: The text above the grid, drawn with the option `labels` if the picture has several groups.
        sides: The names of the rows and columns of each tile, such as tokens, drawn with the option `labels`; None for none.
    """

    maps: NDArray[np.floating]
    names: Sequence[str] | None = None
    heading: str = ""
    sides: "Sequence[Sides] | None" = None

    @property
    def labels(self) -> Sequence[str]:
        """The name of each tile."""
        return [str(number) for number in range(len(self.maps))] if self.names is None else self.names
