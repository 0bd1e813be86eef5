"""The fair queue: batches that wait, in the order in which they came for each model or owner, which take turns."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

from layerscope.execution.batches import Batch

Turn = Callable[[Batch], Hashable]
"""Whose turn it must be for a batch to run."""


def by_model(batch: Batch) -> Hashable:
    """Models take turns."""
    return batch.executable


def by_owner(batch: Batch) -> Hashable:
    """Keys take turns; where there are none, models do."""
    return batch.owner or batch.executable


class FairQueue:
    """Batches by whose turn it must be for them. Not safe to use from several threads at once.

    A model with many requests, or a key, cannot starve another: after each batch, it is the turn of the next one.

    Args:
        turn: tells whose turn it must be.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._queues: OrderedDict[Hashable, deque[Batch]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._queues)

    def add(self, batch: Batch) -> None:
        """Put a batch behind those that wait for the same turn."""
        self._queues.setdefault(self._turn(batch), deque()).append(batch)

    def take(self, join: Callable[[Batch, Batch], Batch | None]) -> Batch:
        """Take the batch that has waited longest of those whose turn it is, with all that join it.

        Args:
            join: combines two batches; None if they must not run together, or had better not.
        """
        turn, waiting = self._queues.popitem(last=False)
        batch, rest = waiting.popleft(), deque[Batch]()
        for other in waiting:
            joined = join(batch, other)
            if joined is None:
                rest.append(other)
            else:
                batch = joined
        if rest:
            self._queues[turn] = rest
        return batch
