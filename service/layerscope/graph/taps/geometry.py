"""Map geometry: where the values of a tap lie over what the model sees. All that draws over inputs or makes maps asks here.

A tap has map geometry if its axes count places, each other ones, and at most channels beside them: one axis of places is a
series, two are an image, three a volume or the frames of a film. Tokens that are a grid over an image, as in a vision
transformer, have the rows and columns of the grid; tokens beside the grid, such as a class token, are left out of its maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from layerscope.graph.taps.tap import AxisName, Shape, Tap, TokenGrid

Array = np.ndarray[Any, np.dtype[Any]]

PLACE_NAMES = ("z", "y", "x")
"""The names that requests have for axes of places, which count neither images nor features: a map has y and x."""

PLANE: tuple[AxisName, ...] = ("height", "width")
"""The places of an image."""

_PLACES: tuple[AxisName, ...] = ("time", "depth", *PLANE, "tokens")
"""Axes of places, in the order that they have in maps."""


@dataclass(frozen=True, slots=True)
class MapGeometry:
    """How the values of one image are maps.

    Attributes:
        axes: what each axis of the values counts.
        grid: the map that tokens are; None where rows and columns have axes of their own.
        places: what the axes of the maps count, one to three names of `axes`; rows and columns where there is a grid.
    """

    axes: tuple[AxisName, ...]
    grid: TokenGrid | None
    places: tuple[AxisName, ...] = PLANE

    @property
    def channel_axis(self) -> int | None:
        """The axis of the values of one image that counts the channels of the maps; None if there is none."""
        return self.axes.index("channels") if "channels" in set(self.axes) - set(self.places) else None

    @property
    def is_over_image(self) -> bool:
        """Whether the maps have rows and columns, and nothing else."""
        return self.places == PLANE

    @property
    def is_upright(self) -> bool:
        """Whether the values have an axis of rows, and one of columns behind it, and no other axis of places."""
        plane = rows_and_columns(self.axes)
        return self.is_over_image and plane is not None and plane[0] < plane[1]

    def folded(self, values: Array) -> Array:
        """Values as maps.

        Args:
            values: of some images, (images, *shape).

        Returns:
            A view of shape (images, *places, channels). There is one channel where no axis counts channels.
        """
        if self.grid is not None:
            by_token = np.moveaxis(values, 1 + self.axes.index("tokens"), 1)
            first, (height, width) = self.grid.offset, (self.grid.height, self.grid.width)
            own = by_token[:, first : first + height * width]
            return own.reshape(len(values), height, width, -1)
        arranged = values.transpose(self._order)
        return arranged[..., np.newaxis] if self.channel_axis is None else arranged

    def unfolded(self, maps: Array) -> Array:
        """The values, (images, *shape), that `folded` makes such maps of. Only where there is no grid."""
        arranged = maps[..., 0] if self.channel_axis is None else maps
        return arranged.transpose(np.argsort(self._order))

    def folded_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The sizes of the places, and the channels, of the maps that values of a shape, without the batch axis, are."""
        _, *sizes = self.folded(np.broadcast_to(np.False_, (1, *shape))).shape
        return tuple(sizes)

    @property
    def _order(self) -> tuple[int, ...]:
        """The axes of values, with images first, in the order of the maps."""
        channels = [] if self.channel_axis is None else [self.channel_axis]
        return (0, *(1 + axis for axis in [*map(self.axes.index, self.places), *channels]))


def geometry_of(axes: tuple[AxisName, ...], grid: TokenGrid | None) -> MapGeometry | None:
    """How values are maps; None if they are none, or nobody knows.

    Args:
        axes: what each axis of the values of one image counts.
        grid: the map that tokens are, if they are one.
    """
    if sorted(axes) == ["channels", "tokens"] and grid is not None:
        return MapGeometry(axes, grid)
    places = tuple(name for name in _PLACES if name in axes)
    is_clear = len(set(axes)) == len(axes) and set(axes) - set(places) <= {"channels"}
    return MapGeometry(axes, None, places) if is_clear and 0 < len(places) <= len(PLACE_NAMES) else None


def map_geometry(tap: Tap) -> MapGeometry | None:
    """How the values of a tap are maps; None if they are none, or nobody knows."""
    return geometry_of(tap.axes, tap.tensor.grid)


def image_geometry_of(axes: tuple[AxisName, ...], grid: TokenGrid | None) -> MapGeometry | None:
    """How values are maps over an image; None if they are none, or nobody knows. The arguments are those of `geometry_of`."""
    geometry = geometry_of(axes, grid)
    return geometry if geometry is not None and geometry.is_over_image else None


def has_rows(tap: Tap) -> bool:
    """Whether a tap has rows and columns, beside whatever else."""
    return set(tap.axes) >= set(PLANE) or image_geometry_of(tap.axes, tap.tensor.grid) is not None


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
    """Why values are no maps; None if they are. The arguments are those of `geometry_of`."""
    if geometry_of(axes, grid) is not None:
        return None
    if not axes:
        return "It is a single number: it has no places."
    named = ", ".join(axes)
    if "unknown" in axes:
        return f"Its axes cannot be told from the graph ({named}): nobody knows which of them are places."
    if set(axes) == {"channels"}:
        return "Its axes are channels: it has no places, such as pixels or steps of time."
    return f"Its axes are {named}: it is no map."


def why_not_over_image(axes: tuple[AxisName, ...], grid: TokenGrid | None) -> str | None:
    """Why values are no maps over an image; None if they are. The arguments are those of `geometry_of`."""
    if image_geometry_of(axes, grid) is not None:
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
    sides: Shape = tuple(size for name, size in zip(tap.axes, tap.shape, strict=True) if name in _PLACES)
    return any(size != 1 for size in sides)
