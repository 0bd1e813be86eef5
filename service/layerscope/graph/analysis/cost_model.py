"""Cost model: estimates of the memory and the work of a run, for inputs of any size, kept in a cache."""

import threading
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from cachetools import LRUCache

from layerscope.graph.analysis.liveness import Liveness
from layerscope.graph.analysis.shapes import TapShapes
from layerscope.graph.taps.tap import LayerCall, Shape, Tap

_KEPT = 1024


class CostModel:
    """Estimates for one image on inputs of `input_shapes`, of one model. Safe to use from many threads.

    Values whose size only a run can tell are not counted.

    Args:
        calls: those of the model.
        shapes: of its taps.
    """

    def __init__(self, calls: Sequence[LayerCall], shapes: TapShapes) -> None:
        self._liveness = Liveness(calls)
        self._shapes = shapes
        self._known: LRUCache[tuple[Any, ...], int] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    def peak(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """`Liveness.peak` in bytes."""
        return self._estimated(self._liveness.peak, taps, input_shapes)

    def total(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """`Liveness.total` in bytes."""
        return self._estimated(self._liveness.total, taps, input_shapes)

    def work(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """`Liveness.work` where sizes are bytes."""
        return self._estimated(self._liveness.work, taps, input_shapes)

    def values(self, taps: Sequence[Tap], input_shapes: Sequence[Shape]) -> int:
        """Bytes of the values of `taps`."""
        size = self._size_on(input_shapes)
        return sum(map(size, taps))

    def _estimated(
        self,
        estimate: Callable[[Sequence[Tap], Callable[[Tap], int]], int],
        taps: Sequence[Tap],
        input_shapes: Sequence[Shape],
    ) -> int:
        key = (estimate.__name__, *taps, *map(tuple, input_shapes))
        with self._lock:
            known = self._known.get(key)
        if known is None:
            known = estimate(taps, self._size_on(input_shapes))
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
