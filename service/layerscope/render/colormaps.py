"""Colormaps by name, as palettes: the catalogue of the `cmap` package.

Names are spelled as in that catalogue (`viridis`, `RdBu`, or with its collection `crameri:vik`); `_r` at the
end reverses a map.
"""

import difflib
from functools import cache, lru_cache

import numpy as np
from cmap import Colormap
from numpy.typing import NDArray

from layerscope.errors import OptionInvalid

_REVERSED = "_r"


@cache
def names() -> tuple[str, ...]:
    """Return the short name of every colormap, in alphabetical order; reversed ones are not listed."""
    return tuple(sorted(Colormap.catalog().short_keys(), key=lambda name: (name.lower(), name)))


@lru_cache(maxsize=256)
def palette(name: str, levels: int) -> NDArray[np.uint8]:
    """Return a colormap as a table of `levels` colours.

    Args:
        name: A colormap's name.
        levels: How many colours, from 2 to 256. The first and the last are the ends of the map.

    Returns:
        Red, green and blue, uint8 of shape (levels, 3), read-only. 256 levels of a map that matplotlib also
        has are the bytes matplotlib draws, where the catalogue holds the same data (as for `viridis`).

    Raises:
        OptionInvalid: No colormap has that name.
    """
    colormap = _load(name)
    table = colormap.lut(256)[:, :3]
    if colormap.interpolation == "nearest":
        colours = table[np.arange(levels) * len(table) // levels]
    else:
        colours = _resampled(table, levels)
    result = (colours * 255).astype(np.uint8)
    result.flags.writeable = False
    return result


def require(name: str) -> None:
    """Check that there is a colormap of that name.

    Raises:
        OptionInvalid: There is none; `details["near"]` holds up to three similar names.
    """
    if _qualified(name) is None:
        raise _unknown(name)


@lru_cache(maxsize=256)
def is_diverging(name: str) -> bool:
    """Tell whether a colormap has two arms that meet in a neutral centre.

    Raises:
        OptionInvalid: No colormap has that name.
    """
    return _load(name).category == "diverging"


def _load(name: str) -> Colormap:
    qualified = _qualified(name)
    if qualified is None:
        raise _unknown(name)
    return Colormap(qualified)


def _qualified(name: str) -> str | None:
    known = _known()
    if name in known:
        return known[name]
    stem = name.removesuffix(_REVERSED)
    return known[stem] + _REVERSED if stem in known else None


@cache
def _known() -> dict[str, str]:
    catalogue = Colormap.catalog()
    spelled = catalogue.short_keys() | catalogue.namespaced_keys()
    return {name: catalogue.resolve(name) for name in spelled}


def _unknown(name: str) -> OptionInvalid:
    shown = name if len(name) <= 64 else f"{name[:64]}..."
    by_lower_case = {known.lower(): known for known in names()}
    near = [by_lower_case[match] for match in difflib.get_close_matches(shown.lower(), by_lower_case, n=3)]
    hint = f"; did you mean {' or '.join(near)}?" if near else "; /v1/colormaps lists them all."
    return OptionInvalid(f"There is no colormap {shown!r}{hint}", option="colormap", value=shown, near=near)


def _resampled(table: NDArray[np.float64], levels: int) -> NDArray[np.float64]:
    known = np.arange(len(table))
    wanted = np.linspace(0, len(table) - 1, levels)
    return np.stack([np.interp(wanted, known, channel) for channel in table.T], axis=1)
