"""The entry of a registry: one version of a model, in memory or not."""

import time
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

from layerscope.errors import LayerscopeError
from layerscope.models.directory import ModelSource

State = Literal["loading", "ready", "failed", "unloading", "unloaded"]


class Loaded(Protocol):
    """A loaded model, as far as the registry uses it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the model's declaration."""

    @property
    def memory_bytes(self) -> int:
        """The memory of its weights, in bytes."""

    def close(self) -> None:
        """Give back all memory."""


Model = TypeVar("Model", bound=Loaded)


@dataclass(eq=False)
class Entry(Generic[Model]):
    """One version of a model.

    Attributes:
        source: where it comes from.
        state: `ready` while it can be used.
        model: the loaded model, until it is closed.
        cause: why loading failed, why it was unloaded without a request, or why a newer file is not served in its place.
        leases: how many requests use it now.
        used: when the last lease began, on the clock of `time.monotonic`.
    """

    source: ModelSource
    state: State = "loading"
    model: Model | None = None
    cause: LayerscopeError | None = None
    leases: int = field(default=0, repr=False)
    used: float = field(default_factory=time.monotonic, repr=False)

    @property
    def reason(self) -> str | None:
        """The message of the cause."""
        return None if self.cause is None else self.cause.message
