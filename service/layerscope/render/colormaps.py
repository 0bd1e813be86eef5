"""Colormaps by name, as lookup tables of 8-bit colours, from the catalogue of the `cmap` package.

Names are spelled as in that catalogue: `viridis`, `RdBu`, or with the collection `crameri:vik`. The suffix `_r`
reverses a map.
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
    """Return the short name of every colormap in alphabetical order, without the reversed ones."""
    return tuple(sorted(Colormap.catalog().short_keys(), key=lambda name: (name.lower(), name)))


@lru_cache(maxsize=256)
def lookup_table(name: str, levels: int) -> NDArray[np.uint8]:
    """Return a colormap as a table of `levels` colours.

    Args:
        name: A colormap's name.
        levels: Number of colours, 2 to 256. The first and the last one are the ends of the map.

    Returns:
        Red, green and blue, uint8 of shape (levels, 3), read-only. With 256 levels and a map whose data matplotlib
        shares, such as `viridis`, the bytes are those that matplotlib draws.

    Raises:
        OptionInvalid: No colormap has that name.
    """
    colormap = _load(name)
    table = colormap.lut(256)[:, :3]
    if colormap.interpolation == "nearest":
        # A qualitative map (tab10): its colours are repeated, because a mixture of two of them stands for nothing.
        colours = table[np.arange(levels) * len(table) // levels]
    else:
        colours = _resampled(table, levels)
    # Truncated as in matplotlib, so that the bytes are the same.
    result = (colours * 255).astype(np.uint8)
    result.flags.writeable = False
    return result


def require(name: str) -> None:
    """Check that a colormap of that name exists.

    Raises:
        OptionInvalid: It does not; `details["near"]` holds up to three similar names.
    """
    if _qualified(name) is None:
        raise _unknown(name)


@lru_cache(maxsize=256)
def is_diverging(name: str) -> bool:
    """Whether a colormap is diverging: two ranges of colours that meet in a neutral centre.

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
