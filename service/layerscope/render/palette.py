"""Palette of a picture: 256 entries, the colours of a colormap first, then background, text and non-finite values."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from layerscope.render import colormaps

ENTRIES = 256
BACKGROUND = (255, 255, 255)
TEXT = (32, 32, 36)
NONFINITE = {"magenta": (255, 0, 255), "lime": (0, 255, 0), "black": (0, 0, 0)}
"""Colours for NaN and infinities by name, in order of preference."""

_CACHED_PALETTES = 64

_DISTINCT = 60
"""Least Euclidean distance in 8-bit RGB at which two colours are told apart at a glance."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Palette:
    """The colours of a picture and the purpose of each index.

    Attributes:
        colours: Red, green and blue of every index, uint8 of shape (256, 3), read-only.
        levels: Number of entries that belong to the colormap; they begin at index 0.
        background: The index of gaps and margins, if the palette has a background.
        text: The index of letters, if the palette has a text colour.
        nonfinite: The index of NaN and infinities, if the palette has a colour for them.
        nonfinite_name: The English name of that colour.
    """

    colours: NDArray[np.uint8]
    levels: int
    background: int
    text: int
    nonfinite: int
    nonfinite_name: str


@lru_cache(_CACHED_PALETTES)
def make_palette(colormap: str, *, background: bool, text: bool, nonfinite: bool) -> Palette:
    """Make a palette of a colormap and reserve its last entries for the purposes that are needed.

    An entry is reserved only where the picture needs it, so that a plain picture has all 256 levels of the colormap.
    The result is cached and shared by all callers.

    Raises:
        OptionInvalid: No colormap has that name.
    """
    levels = ENTRIES - background - text - nonfinite
    colours = colormaps.lookup_table(colormap, levels)
    name = _nonfinite_name(colours)
    reserved = [(nonfinite, NONFINITE[name]), (text, TEXT), (background, BACKGROUND)]
    kept = np.array([colour for is_needed, colour in reserved if is_needed], dtype=np.uint8).reshape(-1, 3)
    entries = np.concatenate([colours, kept])
    entries.setflags(write=False)
    return Palette(
        colours=entries,
        levels=levels,
        nonfinite=levels,
        text=levels + nonfinite,
        background=ENTRIES - 1,
        nonfinite_name=name,
    )


def _nonfinite_name(colours: NDArray[np.uint8]) -> str:
    """The first colour for non-finite values that is distinct from all of the map, else the most distant one."""
    distances = {
        name: float(np.linalg.norm(colours - np.array(colour, dtype=np.float32), axis=1).min())
        for name, colour in NONFINITE.items()
    }
    distinct = [name for name, distance in distances.items() if distance >= _DISTINCT]
    return distinct[0] if distinct else max(distances, key=distances.__getitem__)
