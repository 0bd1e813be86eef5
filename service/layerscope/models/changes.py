"""Changes of models that a caller may ask for, and what comes of them."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol

from layerscope.errors import LayerscopeError
from layerscope.models.entry import Entry, Model
from layerscope.models.manifest import Manifest
from layerscope.models.validation import Report


@dataclass(frozen=True)
class Addition(Generic[Model]):
    """A model that was sent: what its file turned out to be, the version it is, and whether that is new."""

    entry: Entry[Model]
    report: Report
    is_new: bool


class ModelChanges(Protocol[Model]):
    """The changes that somebody may ask for. All block, and may be made from any thread; see `Library` for each."""

    @property
    def sync_error(self) -> LayerscopeError | None:
        """Why the models may differ from those of the place that they are fetched from; None if they do not."""

    def load(self, reference: str) -> Entry[Model]:
        """Load a version of a model, in place of itself too."""

    def unload(self, reference: str) -> Entry[Model]:
        """Take a version out of memory once nobody uses it."""

    def label(self, reference: str, label: str) -> Entry[Model]:
        """Let a label point at a loaded version."""

    def unlabel(self, name: str, label: str) -> None:
        """Let a label point at nothing."""

    def receiving(self, size: int) -> AbstractContextManager[Path]:
        """A file to receive a model in."""

    def add(self, file: Path, name: str, declaration: Manifest | None, *, load: bool) -> Addition[Model]:
        """Check, try and store a model file."""

    def remove(self, reference: str) -> None:
        """Remove a version that was sent."""
