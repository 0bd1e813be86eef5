"""Work of a run: an estimate of its multiplications from the layer calls alone, of which only the needed ones run."""

from collections.abc import Callable, Collection, Iterable, Sequence

from layerscope.graph.taps.tap import LayerCall, Tap

Addresses = frozenset[str]


class CallWork:
    """Which values each call of one model computes and reads.

    Args:
        calls: those of the model, in the order in which they are made.
    """

    def __init__(self, calls: Sequence[LayerCall]) -> None:
        self._makers: dict[str, Addresses] = {}
        for call in calls:
            self._makers |= {tap.address: self._made_by(tap) for tap in _outputs(call)}
        self._steps = [(_outputs(call), self._read_by(call)) for call in calls if not call.origins]

    def work(self, wanted: Collection[Tap], size: Callable[[Tap], int]) -> int:
        """The multiplications of all calls that run, as if a layer used each weight of a channel once for each number.

        That is right for convolutions and dense layers, and good enough to compare one run with another.

        Args:
            wanted: the taps that are fetched.
            size: tells the size of a tap's value.
        """
        runs = self._needed(wanted)
        made = (tap for number in runs for tap in self._steps[number][0])
        return sum(size(tap) * (1 + tap.layer.parameters // _channels(tap)) for tap in made)

    def _needed(self, wanted: Collection[Tap]) -> list[int]:
        """The numbers of the steps that run."""
        needed = set(_union(self._read_for(tap) for tap in wanted))
        needed |= _union(self._makers[tap.address] for tap in wanted if tap.place.site == "output")
        runs = []
        for number in reversed(range(len(self._steps))):
            makes, reads = self._steps[number]
            if any(tap.address in needed for tap in makes):
                runs.append(number)
                needed |= reads
        return runs

    def _made_by(self, tap: Tap) -> Addresses:
        """The values behind a tap: those of the layers inside, if its layer is made of other layers."""
        if not tap.layer.origins:
            return frozenset([tap.address])
        return _union(self._makers[origin] for origin in tap.layer.origins[tap.place.output])

    def _read_for(self, tap: Tap) -> Addresses:
        """The values that a tap needs: an input is computed by other layers, a preactivation with its own layer."""
        if tap.place.site == "input":
            return self._read_by(tap.layer)
        return _union(self._makers[each.address] for each in _outputs(tap.layer))

    def _read_by(self, call: LayerCall) -> Addresses:
        return _union(self._makers[address] for address in call.inbound)


def _outputs(call: LayerCall) -> list[Tap]:
    return [tap for tap in call.taps if tap.place.site == "output"]


def _channels(tap: Tap) -> int:
    axis = tap.channel_axis
    return 1 if axis is None else tap.shape[axis] or 1


def _union(sets: Iterable[Addresses]) -> Addresses:
    return frozenset().union(*sets)
