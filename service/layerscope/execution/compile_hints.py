"""Compile hints: plans that would have let two requests for one image share a run, had they been compiled."""

from collections import deque
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from cachetools import LRUCache

from layerscope.execution.batches import Batch

if TYPE_CHECKING:
    from layerscope.graph.runtime.executable import Executable
    from layerscope.graph.taps.tap import Tap

_HINTS_KEPT = 64
"""Hints that are remembered for one executable."""


class CompileHints:
    """Counts hints. Not safe to use from several threads at once.

    The first hint is only remembered, because a plan has its price: that of the whole MobileNetV2 takes 0.5 s and 12 MB. The
    second hint for the same taps makes the plan due.

    Attributes:
        due: plans to compile when the compiling thread has nothing else to do.
    """

    def __init__(self) -> None:
        self.due: deque[tuple[Executable, tuple[Tap, ...]]] = deque()
        self._seen: WeakKeyDictionary[Executable, LRUCache[frozenset[Tap], bool]] = WeakKeyDictionary()

    def add(self, batch: Batch) -> bool:
        """Count a hint for the plan of a batch.

        Returns:
            Whether the plan has become due by this hint: it is the second one.
        """
        seen = self._seen.setdefault(batch.executable, LRUCache(_HINTS_KEPT))
        taps = frozenset(batch.taps)
        is_second = seen.get(taps) is False
        seen[taps] = taps in seen
        if is_second:
            self.due.append((batch.executable, batch.taps))
        return is_second
