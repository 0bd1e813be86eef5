"""Golden pictures: small pictures of every kind in files. `python tests/service/render/golden_pictures.py` writes them.

Open each that changed before committing it; what they show is said here.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from layerscope.images import Background, Geometry
from layerscope.limits import Limits
from layerscope.render import (
    HISTOGRAM_WIDTH,
    LayerRow,
    PictureOptions,
    Sides,
    TileGroup,
    overlay,
    render,
    render_groups,
    statistics_picture,
    tiles,
)
from layerscope.tensors.asinh_axis import AsinhAxis

FOLDER = Path(__file__).parents[2] / "data" / "golden"


def waves(count: int, height: int, width: int) -> np.ndarray:
    """Maps that need no random numbers and no library's sine: quadratic bowls, each steeper than the one before."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    steepness = np.arange(1, count + 1)[:, None, None]
    return (steepness * x * x - y * y + x / steepness).astype(np.float32)


def pictures() -> dict[str, bytes]:
    """Every golden picture by name."""
    return {name: draw() for name, draw in _DRAWN.items()}


def _rendered(maps: np.ndarray, **options: object) -> bytes:
    return render(maps, PictureOptions(**options), limits=Limits(), metadata={"layer": "golden"}).data  # type: ignore[arg-type]


def _two_layers() -> bytes:
    """Three maps of one layer above two smaller ones of another, in one range: the lower ones are paler."""
    groups = [
        TileGroup(maps=waves(3, 24, 24), names=["0", "5", "11"], heading="block1/conv"),
        TileGroup(maps=waves(2, 12, 16) / 4, names=["1", "2"], heading="block2/conv"),
    ]
    options = PictureOptions(normalize="picture", labels=True, colorbar=True, columns=3, gap=4, scale=2)
    return render_groups(groups, options, limits=Limits()).data


def _attended() -> bytes:
    """Two heads over four tokens, of which two are drawn as code points, and one is cut; queries at the left, keys above."""
    tokens = ["a", "shalom \u05e9\u05dc\u05d5\u05dd", "antidisestablishment", "\U0001f600"]
    groups = [TileGroup(maps=waves(2, 4, 4), sides=[Sides(rows=tokens, columns=tokens)] * 2)]
    options = PictureOptions(labels=True, scale=14, normalize="layer")
    return render_groups(groups, options, limits=Limits()).data


def _damaged() -> bytes:
    """Magenta where values are NaN or infinite; a flat map beside it."""
    maps = np.abs(waves(2, 12, 12))
    maps[0, 3, 3:7], maps[0, 8, 8] = np.nan, np.inf
    maps[1] = 0
    return _rendered(maps, scale=6)


def _overlay(**options: object) -> bytes:
    """A bright spot right of the middle, over stripes; the model saw a centred square."""
    stripes = np.zeros((60, 96, 3), np.uint8)
    stripes[:, ::8] = (255, 200, 0)
    ground = Background(pixels=stripes, geometry=Geometry.of((60, 96), (7, 7), "crop"))
    heat = np.zeros((7, 7), np.float32)
    heat[3, 5] = 1
    return overlay(heat, ground, PictureOptions(colorbar=True), limits=Limits(), alpha=0.6).data


def _network() -> bytes:
    """Three layers: one well, one with dead and saturated channels, one with values that are not finite."""
    density = np.maximum(0, 100 - np.abs(np.arange(HISTOGRAM_WIDTH) - 160))
    rows = [
        LayerRow(
            name="well", density=density, fraction_zero=0.25, channels=8, dead=0, saturated=0, nonfinite=0
        ),
        LayerRow(
            name="ill", density=density // 2, fraction_zero=0.75, channels=8, dead=2, saturated=1, nonfinite=0
        ),
        LayerRow(
            name="lost",
            density=density * 0,
            fraction_zero=np.nan,
            channels=0,
            dead=0,
            saturated=0,
            nonfinite=9,
        ),
    ]
    return statistics_picture(
        rows, AsinhAxis(-2.0, 6.0, 1.0), limits=Limits(), metadata={"model": "golden@1"}
    )


_DRAWN = {
    "one_map": lambda: _rendered(np.abs(waves(1, 24, 32)), scale=4),
    "grid_labels_bar": lambda: _rendered(waves(5, 20, 24), labels=True, colorbar=True, normalize="layer"),
    "percentile": lambda: _rendered(waves(2, 24, 24), percentile=(10, 90), colormap="magma", scale=3),
    "vector_4096": lambda: _rendered(tiles(np.arange(4096, dtype=np.float32) % 977, None), scale=2),
    "depth_slices": lambda: _rendered(
        tiles(waves(6, 9, 9).reshape(2, 3, 9, 9), 0), columns=3, gap=4, scale=4
    ),
    "two_layers": _two_layers,
    "attended": _attended,
    "damaged": _damaged,
    "overlay_crop": _overlay,
    "network": _network,
}


def decoded(data: bytes) -> np.ndarray:
    """Red, green and blue."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in pictures().items():
        (FOLDER / f"{name}.png").write_bytes(data)
