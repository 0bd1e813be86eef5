"""Drawing feature maps, beside matplotlib, both in this process and on the same array.

`matshow` and `subplots` are the usual code. `imsave` of maps that are laid out in one array is the least work that
matplotlib can do, without axes or text.
"""

import io
import math
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot
from rig.figures import Figure, ratio
from rig.paired import Way, compare

from layerscope.limits import Limits
from layerscope.render import PictureOptions, render

mpl.use("Agg")

SIDE = 112
CHANNELS = 64
TURNS = 45
SLOW_TURNS = 15

Maps = np.ndarray[Any, np.dtype[Any]]


def measure() -> dict[str, Figure]:
    """One map of 112x112 pixels, and a grid of 64 of them."""
    one = f"one map of {SIDE}x{SIDE} as PNG"
    grid = f"a grid of {CHANNELS} maps of {SIDE}x{SIDE} as PNG"
    return {
        "map_matshow": _figure(one, "matshow and savefig", _matshow, 1, TURNS),
        "map_imsave": _figure(one, "imsave", _imsave, 1, TURNS),
        "grid_subplots": _figure(
            grid, "subplots of imshow, and savefig", _subplots, CHANNELS, SLOW_TURNS, least=20
        ),
        "grid_imsave": _figure(grid, "imsave of the maps laid out with NumPy", _imsave, CHANNELS, SLOW_TURNS),
    }


def _figure(
    what: str,
    against: str,
    theirs: Callable[[Maps], None],
    channels: int,
    turns: int,
    least: float | None = None,
) -> Figure:
    options, limits = PictureOptions(colormap="viridis"), Limits()
    pairs = compare(
        against,
        Way.timed(lambda maps: render(maps, options, limits=limits)),
        Way.timed(theirs),
        [_maps(channels, number) for number in range(turns)],
        warm_up=3,
    )
    return ratio(pairs, what=what, against=against, unit="x as fast", least=least)


def _maps(channels: int, seed: int) -> Maps:
    """Maps like those of a convolution with ReLU: smooth, and zero in half of the places."""
    random = np.random.default_rng(seed)
    coarse = random.normal(size=(channels, SIDE // 4, SIDE // 4)).astype(np.float32)
    return np.maximum(coarse.repeat(4, axis=1).repeat(4, axis=2), 0)


def _matshow(maps: Maps) -> None:
    pyplot.matshow(maps[0], cmap="viridis")
    pyplot.savefig(io.BytesIO())
    pyplot.close()


def _subplots(maps: Maps) -> None:
    side = math.isqrt(len(maps))
    figure, axes = pyplot.subplots(side, side, figsize=(10, 10))
    for each, axis in zip(maps, axes.flat, strict=True):
        axis.imshow(each, cmap="viridis")
        axis.axis("off")
    figure.savefig(io.BytesIO())
    pyplot.close(figure)


def _imsave(maps: Maps) -> None:
    """Each map in its own range, as the other ways draw it."""
    side = math.isqrt(len(maps))
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    scaled = (maps - low) / (high - low)
    laid_out = scaled.reshape(side, side, SIDE, SIDE).swapaxes(1, 2).reshape(side * SIDE, side * SIDE)
    pyplot.imsave(io.BytesIO(), laid_out, cmap="viridis", format="png")
