"""Cost model: estimates of the memory, the work and the time of a run, for inputs of any size, kept in a cache."""

import threading
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, TypeVar

from cachetools import LRUCache

from layerscope.graph.analysis.call_work import CallWork
from layerscope.graph.analysis.node_memory import NodeBytes, NodeMemory
from layerscope.graph.analysis.run_cost import RunCost
from layerscope.graph.analysis.shapes import TapShapes
from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.taps.tap import LayerCall, Shape, Tap

_KEPT = 1024

Estimate = TypeVar("Estimate")


class CostModel:
    """Estimates for one image on inputs of `input_shapes`, of one model. Safe to use from many threads.

    A size that only a run can tell counts as the longest side of the inputs.

    Args:
        calls: those of the model.
        shapes: of its taps.
    """

    def __init__(self, calls: Sequence[LayerCall], shapes: TapShapes) -> None:
        self._work = CallWork(calls)
        self._shapes = shapes
        self._memory = NodeMemory(shapes.nodes)
        self._known: LRUCache[tuple[Any, ...], Any] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    def peak(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """`NodeMemory.peak` of a run that fetches `taps`."""
        return self._kept(
            "peak", taps, input_shapes, lambda: self._memory.peak(*self._nodes(taps, input_shapes))
        )

    def total(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """`NodeMemory.total` of a run that fetches `taps`."""
        return self._kept(
            "total", taps, input_shapes, lambda: self._memory.total(*self._nodes(taps, input_shapes))
        )

    def work(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """`CallWork.work` where sizes are bytes."""
        return self._kept(
            "work", taps, input_shapes, lambda: self._work.work(taps, self._size_on(input_shapes))
        )

    def cost(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> RunCost | None:
        """`NodeCosts.of` the nodes of a run that fetches `taps`."""
        return self._kept("cost", taps, input_shapes, lambda: self._cost(taps, input_shapes))

    def values(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """Bytes of the values of `taps`."""
        size = self._size_on(input_shapes)
        return sum(map(size, taps))

    def _nodes(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> tuple[set[str], NodeBytes]:
        return _fetched(taps), self._shapes.nbytes(input_shapes)

    def _cost(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> RunCost | None:
        return self._shapes.costs(input_shapes).of(self._memory.needed(_fetched(taps)))

    def _kept(
        self,
        what: str,
        taps: Sequence[Tap],
        input_shapes: Sequence[Shape],
        estimate: Callable[[], Estimate],
    ) -> Estimate:
        key = (what, *taps, *map(tuple, input_shapes))
        with self._lock:
            if key in self._known:
                known: Estimate = self._known[key]
                return known
        known = estimate()
        with self._lock:
            self._known[key] = known
        return known

    def _size_on(self, input_shapes: Sequence[Shape]) -> Callable[[Tap], int]:
        shapes = self._shapes.on(input_shapes)

        def size(tap: Tap) -> int:
            shape = shapes[tap.tensor.name]
            sizes = [each for each in shape if each is not None]
            return prod(sizes) * tap.dtype.itemsize if len(sizes) == len(shape) else 0

        return size


def _fetched(taps: Sequence[Tap]) -> set[str]:
    return {node_of(tap.tensor.name) for tap in taps}
