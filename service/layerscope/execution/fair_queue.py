"""The fair queue: batches that wait, in the order in which they came for each model; models take turns."""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from layerscope.execution.batches import Batch

if TYPE_CHECKING:
    from layerscope.graph.runtime.executable import Executable


class FairQueue:
    """Batches by executable. Not safe to use from several threads at once.

    A model with many requests cannot starve another: after each batch, it is the turn of the next model.
    """

    def __init__(self) -> None:
        self._queues: OrderedDict[Executable, deque[Batch]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._queues)

    def add(self, batch: Batch) -> None:
        """Put a batch behind those that wait for the same executable."""
        self._queues.setdefault(batch.executable, deque()).append(batch)

    def take(self, join: Callable[[Batch, Batch], Batch | None]) -> Batch:
        """Take the batch that has waited longest for the executable whose turn it is, with all that join it.

        Args:
            join: combines two batches; None if they must not run together, or had better not.
        """
        executable, waiting = self._queues.popitem(last=False)
        batch, rest = waiting.popleft(), deque[Batch]()
        for other in waiting:
            joined = join(batch, other)
            if joined is None:
                rest.append(other)
            else:
                batch = joined
        if rest:
            self._queues[executable] = rest
        return batch
