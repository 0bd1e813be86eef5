"""Axes: which units along an axis of a feature map read which places along the axis of an earlier one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from layerscope.graph.receptive.reach import Line


@dataclass(frozen=True)
class Axis:
    """One axis. Unit u is computed from `size` places, from `offset + stride * u` on.

    Of these, places below 0, and from `places` on, are padding.

    Attributes:
        offset, stride, size: of the receptive field of a unit.
        places: the number of places of the earlier map.
        units: the number of units of the later map.
    """

    offset: int
    stride: int
    size: int
    places: int
    units: int

    @classmethod
    def of(cls, line: Line, places: int, units: int) -> "Axis":
        """The axis of a field."""
        return cls(line.offset, line.stride, line.size, places, units)

    def behind(self, other: "Axis") -> "Axis | None":
        """The axis from the units of `other`, as places, to the units of this one; both begin at the same input.

        None if the field of a unit here is not made of whole fields of the other's units.
        """
        # A unit u of this axis begins at the input's place self.offset + self.stride * u, and a unit v of the other at
        # other.offset + other.stride * v. So u begins where v does only if other.stride divides both self.stride and the
        # difference of the offsets. It ends where some unit ends only if other.stride divides the difference of the sizes.
        stride, rest = divmod(self.stride, other.stride)
        offset, off = divmod(self.offset - other.offset, other.stride)
        more, over = divmod(self.size - other.size, other.stride)
        if rest or off or over or more < 0:
            return None
        return Axis(offset, stride, more + 1, other.units, self.units)

    def changed(self, places: range) -> range:
        """The units that read any of some places."""
        if not places:
            return range(0)
        first = (places.start - self.offset - self.size) // self.stride + 1
        end = -((self.offset - places.stop) // self.stride)
        found = range(max(first, 0), min(end, self.units))
        return found or range(0)

    def windows(self, changes: Iterable[range]) -> list[range]:
        """For each change, the places from which the changed units can be computed; all windows have one length.

        A window begins a multiple of the stride behind the begin of the axis, and ends a multiple of the stride before
        its end. SAME padding depends on the length of its input modulo the stride, so units then lie at the same places
        of the window as of the whole map. Windows of one length run as one batch.
        """
        changes = list(changes)
        # Boxes in rows and columns have few different places along one axis.
        seen = {places: self._seen(self.changed(places)) for places in set(changes)}
        begins = {places: each.start - each.start % self.stride for places, each in seen.items()}
        longest = max(each.stop - begins[places] for places, each in seen.items())
        length = min(longest + (self.places - longest) % self.stride, self.places)
        last = self.places - length
        found = {
            places: range(min(begin, last), min(begin, last) + length) for places, begin in begins.items()
        }
        return [found[places] for places in changes]

    def units_from(self, window: range) -> int:
        """The number, in the whole map, of the first unit that is computed from a window."""
        return window.start // self.stride

    def _seen(self, units: range) -> range:
        """The places, without padding, that units are computed from."""
        if not units:
            return range(0)
        first = self.offset + self.stride * units.start
        end = self.offset + self.stride * (units.stop - 1) + self.size
        return range(max(first, 0), min(end, self.places))


Box = tuple[range, ...]
"""Places along each axis."""


def windows(axes: Sequence[Axis], boxes: Sequence[Box]) -> list[Box]:
    """`Axis.windows` along every axis."""
    along = [axis.windows([box[number] for box in boxes]) for number, axis in enumerate(axes)]
    return list(zip(*along, strict=True))


def changed(axes: Sequence[Axis], box: Box) -> Box:
    """`Axis.changed` along every axis."""
    return tuple(axis.changed(places) for axis, places in zip(axes, box, strict=True))
