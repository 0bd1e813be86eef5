"""Map geometry: where the values of a tap lie over an image. All that draws over images or makes maps asks here.

A tap has map geometry if its axes are height and width, and at most channels beside them; or if they are tokens and channels,
and the tokens are a grid over the image, as in a vision transformer. Tokens beside the grid, such as a class token, are left
out of its maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from layerscope.graph.taps.tap import AxisName, Shape, Tap, TokenGrid

Array = np.ndarray[Any, np.dtype[Any]]

PLACE_NAMES = ("z", "y", "x")
"""The names that requests have for axes of places, which count neither images nor features: a map has y and x."""

_PLANE = {"height", "width"}


@dataclass(frozen=True, slots=True)
class MapGeometry:
    """How the values of one image are maps.

    Attributes:
        axes: what each axis of the values counts.
        grid: the map that tokens are; None where rows and columns have axes of their own.
    """

    axes: tuple[AxisName, ...]
    grid: TokenGrid | None

    @property
    def channel_axis(self) -> int | None:
        """The axis of the values of one image that counts channels; None if there is none."""
        return self.axes.index("channels") if "channels" in self.axes else None

    def folded(self, values: Array) -> Array:
        """Values as maps.

        Args:
            values: of some images, (images, *shape).

        Returns:
            A view of shape (images, height, width, channels). There is one channel where no axis counts channels.
        """
        if self.grid is not None:
            by_token = np.moveaxis(values, 1 + self.axes.index("tokens"), 1)
            first, (height, width) = self.grid.offset, (self.grid.height, self.grid.width)
            own = by_token[:, first : first + height * width]
            return own.reshape(len(values), height, width, -1)
        plane = self.axes.index("height"), self.axes.index("width")
        if self.channel_axis is None:
            return values.transpose(0, *(1 + axis for axis in plane))[..., np.newaxis]
        return values.transpose(0, *(1 + axis for axis in (*plane, self.channel_axis)))

    def folded_shape(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """Height, width and channels of the maps that values of a shape, without the batch axis, are."""
        _, height, width, channels = self.folded(np.broadcast_to(np.False_, (1, *shape))).shape
        return height, width, channels


def geometry_of(axes: tuple[AxisName, ...], grid: TokenGrid | None) -> MapGeometry | None:
    """How values are maps over an image; None if they are none, or nobody knows.

    Args:
        axes: what each axis of the values of one image counts.
        grid: the map that tokens are, if they are one.
    """
    counted = sorted(axes)
    if set(counted) - {"channels"} == _PLANE and len(counted) == len(set(counted)):
        return MapGeometry(axes, None)
    return MapGeometry(axes, grid) if counted == ["channels", "tokens"] and grid is not None else None


def map_geometry(tap: Tap) -> MapGeometry | None:
    """How the values of a tap are maps over an image; None if they are none, or nobody knows."""
    return geometry_of(tap.axes, tap.tensor.grid)


def has_rows(tap: Tap) -> bool:
    """Whether a tap has rows and columns, beside whatever else."""
    return set(tap.axes) >= _PLANE or map_geometry(tap) is not None


def rows_and_columns(axes: Sequence[AxisName | Literal["batch"]]) -> tuple[int, int] | None:
    """The axes that count rows and columns, where there is no other axis of places; else None."""
    places = [name for name in axes if name not in {"batch", "channels"}]
    return (axes.index("height"), axes.index("width")) if sorted(places) == ["height", "width"] else None


def axes_of_places(tap: Tap) -> dict[str, int]:
    """The axes along which a tap has places, batch axis included, by the names that requests have for them, in order.

    Of more than three, the last three have names.
    """
    features = {"channels", "heads"}
    places = [
        1 + axis
        for axis, name in enumerate(tap.axes)
        if name not in features and (name != "unknown" or axis != tap.channel_axis)
    ][-len(PLACE_NAMES) :]
    return dict(zip(PLACE_NAMES[len(PLACE_NAMES) - len(places) :], places, strict=True))


def why_no_geometry(axes: tuple[AxisName, ...], grid: TokenGrid | None) -> str | None:
    """Why values are no maps over an image; None if they are. The arguments are those of `geometry_of`."""
    if geometry_of(axes, grid) is not None:
        return None
    if not axes:
        return "It is a single number: it is no map over an image."
    named = ", ".join(axes)
    if "unknown" in axes:
        return f"Its axes cannot be told from the graph ({named}): nobody knows how they lie over an image."
    return f"Its axes are {named}: it is no map over an image."


def has_extent(tap: Tap) -> bool:
    """Whether the maps of a tap with map geometry are larger than one value: behind global pooling there is nothing to see."""
    grid = tap.tensor.grid
    if grid is not None:
        return grid.height * grid.width > 1
    sides: Shape = tuple(size for name, size in zip(tap.axes, tap.shape, strict=True) if name in _PLANE)
    return any(size != 1 for size in sides)
