"""The memory that all loaded models may take, and which of them make way for another."""

from collections.abc import Iterable

from layerscope.errors import ModelNotLoaded, ModelTooLarge
from layerscope.models.entry import Entry, Loaded, Model


class MemoryBudget:
    """A bound on the memory of loaded models.

    Args:
        most_bytes: what all of them may take together; None for no bound.
    """

    def __init__(self, most_bytes: int | None) -> None:
        self._most_bytes = most_bytes

    def require_room(self, model: Loaded) -> None:
        """Check that a model fits if all others make way. One that does not is closed.

        Raises:
            ModelTooLarge: it takes more than all of them may.
        """
        size = model.memory_bytes
        if self._most_bytes is not None and size > self._most_bytes:
            model.close()
            raise ModelTooLarge(
                f"The model takes {size:,} bytes of memory, and all of them together may take {self._most_bytes:,}.",
                size=size,
                limit=self._most_bytes,
            )

    def making_way(self, newest: Entry[Model], entries: Iterable[Entry[Model]]) -> list[Entry[Model]]:
        """The entries whose models must leave memory, the least recently used first; the cause is noted in each."""
        if self._most_bytes is None or newest.model is None:
            return []
        loaded = sorted(
            (each for each in entries if each.state == "ready" and each is not newest),
            key=lambda each: each.used,
        )
        sizes = {each: each.model.memory_bytes if each.model else 0 for each in loaded}
        taken = newest.model.memory_bytes + sum(sizes.values())
        leaving = []
        for each in loaded:
            if taken <= self._most_bytes:
                break
            taken -= sizes[each]
            each.cause = ModelNotLoaded(
                "It made way for another, because of models_bytes at /v1/limits: load it again."
            )
            leaving.append(each)
        return leaving
