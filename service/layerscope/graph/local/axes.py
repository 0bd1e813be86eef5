"""How places along one axis of a feature map and units along that of another, which is computed from it, belong."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from layerscope.graph.receptive.reach import Line


@dataclass(frozen=True)
class Axis:
    """One axis: unit u is computed from places `offset + stride * u` up to `size` further; those beyond are padding.

    Attributes:
        offset, stride, size: of the field of a unit.
        places: how many places there are.
        units: how many units there are.
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
        """The axis between the units of `other`, as places, and those of this; both are computed from one input.

        None if this one's field is not made of whole fields of the other's.
        """
        stride, rest = divmod(self.stride, other.stride)
        offset, off = divmod(self.offset - other.offset, other.stride)
        more, over = divmod(self.size - other.size, other.stride)
        if rest or off or over or more < 0:
            return None
        return Axis(offset, stride, more + 1, other.units, self.units)

    def changed(self, places: range) -> range:
        """The units that see any of some places."""
        if not places:
            return range(0)
        first = (places.start - self.offset - self.size) // self.stride + 1
        end = -((self.offset - places.stop) // self.stride)
        found = range(max(first, 0), min(end, self.units))
        return found or range(0)

    def windows(self, changes: Iterable[range]) -> list[range]:
        """For each change, places that suffice to compute the changed units as if all were there; all of one length.

        A window begins a multiple of the stride from the axis' begin, and its end lies as far from the axis' end, so
        that units lie in a window as they do in the whole, whatever padding comes to.
        """
        seen = [self._seen(self.changed(places)) for places in changes]
        begins = [each.start - each.start % self.stride for each in seen]
        longest = max(each.stop - begin for each, begin in zip(seen, begins, strict=True))
        length = min(longest + (self.places - longest) % self.stride, self.places)
        last = self.places - length
        return [range(min(begin, last), min(begin, last) + length) for begin in begins]

    def units_from(self, window: range) -> int:
        """The unit that is the first of a window."""
        return window.start // self.stride

    def _seen(self, units: range) -> range:
        """The places that units are computed from."""
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
