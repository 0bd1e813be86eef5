"""The changes of models that a caller may request."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol

from layerscope.errors import LayerscopeError
from layerscope.models.commit import Commit
from layerscope.models.entry import Entry, Model
from layerscope.models.manifest import Manifest
from layerscope.models.store import IncomingFile
from layerscope.models.validation import Report


@dataclass(frozen=True)
class Addition(Generic[Model]):
    """An uploaded model: the report on its file, its version, and whether that version is new."""

    entry: Entry[Model]
    report: Report
    is_new: bool


class ModelChanges(Protocol[Model]):
    """The changes that a caller may request. All block, and may be called from any thread; see `Library` for each."""

    @property
    def sync_error(self) -> LayerscopeError | None:
        """Why the models may differ from those of the place that they are fetched from; None if they do not."""

    def load(self, reference: str) -> Entry[Model]:
        """Load a version of a model; one that is loaded already is replaced by its files as they are now."""

    def unload(self, reference: str) -> Entry[Model]:
        """Take a version out of memory once no request uses it."""

    def label(self, reference: str, label: str) -> Entry[Model]:
        """Let a label point at a loaded version."""

    def unlabel(self, name: str, label: str) -> None:
        """Let a label point at nothing."""

    def receiving(self) -> AbstractContextManager[IncomingFile]:
        """A file to receive a model in."""

    def add(
        self,
        file: Path,
        name: str,
        declaration: Manifest | None,
        *,
        load: bool,
        commit: Commit | None = None,
    ) -> Addition[Model]:
        """Check, try and store a model file."""

    def remove(self, reference: str) -> None:
        """Remove an uploaded version."""
