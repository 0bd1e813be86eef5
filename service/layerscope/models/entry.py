"""One version of a model as a registry lists it."""

import time
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

from layerscope.errors import LayerscopeError
from layerscope.models.directory import ModelSource

State = Literal["loading", "ready", "failed", "unloading", "unloaded"]


class Loaded(Protocol):
    """What the registry must be able to do with a loaded model."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names that the model's declaration wants to point at it."""

    @property
    def memory_bytes(self) -> int:
        """What its weights take in memory."""

    def close(self) -> None:
        """Give back all memory."""


Model = TypeVar("Model", bound=Loaded)


@dataclass(eq=False)
class Entry(Generic[Model]):
    """One version of a model.

    Attributes:
        source: where it comes from.
        state: `ready` while it can be used.
        model: what is in memory, while anybody may use it.
        cause: why it failed, was unloaded by itself, or why a newer file of it is not served in its place.
        leases: how many use it now.
        used: when somebody began to use it last, on the clock of `time.monotonic`.
    """

    source: ModelSource
    state: State = "loading"
    model: Model | None = None
    cause: LayerscopeError | None = None
    leases: int = field(default=0, repr=False)
    used: float = field(default_factory=time.monotonic, repr=False)

    @property
    def reason(self) -> str | None:
        """The sentence of the cause."""
        return None if self.cause is None else self.cause.message
