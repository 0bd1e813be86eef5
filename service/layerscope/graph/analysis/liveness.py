"""Liveness: estimates of the memory and the work of a run from the layer calls alone.

TensorFlow computes only what the fetched taps need, and frees a value when its last reader has run. So a value is alive
from the call that computes it to the last call that reads it, or to the end of the run if it is fetched. The peak memory of a
run is the largest sum of live values. Two things are not seen: temporary memory inside a layer, and values that a layer
writes over its input.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

from layerscope.graph.taps.tap import LayerCall, Tap

Addresses = frozenset[str]


class Liveness:
    """Which values each call of one model computes and reads.

    Args:
        calls: those of the model, in the order in which they are made.
    """

    def __init__(self, calls: Sequence[LayerCall]) -> None:
        self._makers: dict[str, Addresses] = {}
        for call in calls:
            self._makers |= {tap.address: self._made_by(tap) for tap in _outputs(call)}
        self._steps = [(_outputs(call), self._read_by(call)) for call in calls if not call.origins]

    def peak(self, wanted: Collection[Tap], size: Callable[[Tap], int]) -> int:
        """The largest sum of the sizes of values that are alive at the same time.

        Args:
            wanted: the taps that are fetched.
            size: tells the size of a tap's value.
        """
        kept = _union(self._makers[tap.address] for tap in wanted if tap.place.site == "output")
        runs, last_reader = self._needed(wanted, kept)
        live = fullest = 0
        dying: Counter[int] = Counter()
        for number in runs:
            for tap in self._steps[number][0]:
                live += size(tap)
                if tap.address not in kept:
                    dying[last_reader.get(tap.address, number)] += size(tap)
            fullest = max(fullest, live)
            live -= dying[number]
        return fullest

    def total(self, wanted: Collection[Tap], size: Callable[[Tap], int]) -> int:
        """The sum of the sizes of all computed values: a gradient keeps them all. Arguments as for `peak`."""
        kept = _union(self._makers[tap.address] for tap in wanted if tap.place.site == "output")
        runs, _ = self._needed(wanted, kept)
        return sum(size(tap) for number in runs for tap in self._steps[number][0])

    def work(self, wanted: Collection[Tap], size: Callable[[Tap], int]) -> int:
        """The multiplications of all calls that run, as if a layer used each weight of a channel once for each number.

        That is right for convolutions and dense layers, and good enough to compare one run with another. Arguments as for
        `peak`.
        """
        kept = _union(self._makers[tap.address] for tap in wanted if tap.place.site == "output")
        runs, _ = self._needed(wanted, kept)
        made = (tap for number in runs for tap in self._steps[number][0])
        return sum(size(tap) * (1 + tap.layer.parameters // _channels(tap)) for tap in made)

    def _needed(self, wanted: Iterable[Tap], kept: Addresses) -> tuple[list[int], dict[str, int]]:
        """The numbers of the steps that run, in order, and the last of them that reads each value."""
        # Backwards: the first reader that is met is the last one of a run.
        needed = kept.union(*(self._read_for(tap) for tap in wanted))
        runs: list[int] = []
        last_reader: dict[str, int] = {}
        for number in reversed(range(len(self._steps))):
            makes, reads = self._steps[number]
            if any(tap.address in needed or tap.address in last_reader for tap in makes):
                runs.append(number)
                for address in reads:
                    last_reader.setdefault(address, number)
        return runs[::-1], last_reader

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
