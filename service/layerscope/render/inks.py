"""The 256 entries of a picture's palette: the colours of the map, then whatever else the picture needs."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from layerscope.render import colormaps

ENTRIES = 256
BACKGROUND = (255, 255, 255)
TEXT = (32, 32, 36)
NONFINITE = {"magenta": (255, 0, 255), "lime": (0, 255, 0), "black": (0, 0, 0)}
"""Colours for values that are not finite, the preferred one first."""

_PALETTES = 64

_DISTINCT = 60
"""How far apart colours must be, in 8-bit RGB, to be told apart at a glance."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inks:
    """A palette and what its indices are for.

    Attributes:
        colours: Red, green and blue of every index, uint8 of shape (256, 3).
        levels: How many entries are the colormap's, from index 0.
        background: The index of gaps and of the ground of annotations, if it was asked for.
        text: The index of letters, if it was asked for.
        nonfinite: The index of NaN and infinities, if it was asked for.
        nonfinite_name: What a person calls that colour.
    """

    colours: NDArray[np.uint8]
    levels: int
    background: int
    text: int
    nonfinite: int
    nonfinite_name: str


@lru_cache(_PALETTES)
def mix(colormap: str, *, background: bool, text: bool, nonfinite: bool) -> Inks:
    """Make a palette of a colormap that keeps its last entries for what is asked for. It is shared, and read-only."""
    levels = ENTRIES - background - text - nonfinite
    colours = colormaps.palette(colormap, levels)
    name = _nonfinite_name(colours)
    reserved = [(nonfinite, NONFINITE[name]), (text, TEXT), (background, BACKGROUND)]
    kept = np.array([colour for wanted, colour in reserved if wanted], dtype=np.uint8).reshape(-1, 3)
    palette = np.concatenate([colours, kept])
    palette.setflags(write=False)
    return Inks(
        colours=palette,
        levels=levels,
        nonfinite=levels,
        text=levels + nonfinite,
        background=ENTRIES - 1,
        nonfinite_name=name,
    )


def _nonfinite_name(colours: NDArray[np.uint8]) -> str:
    distances = {
        name: float(np.linalg.norm(colours - np.array(colour, dtype=np.float32), axis=1).min())
        for name, colour in NONFINITE.items()
    }
    distinct = [name for name, distance in distances.items() if distance >= _DISTINCT]
    return distinct[0] if distinct else max(distances, key=distances.__getitem__)
